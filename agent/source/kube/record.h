// SPDX-License-Identifier: Apache-2.0
// What who writes an object's status must know of it.
#pragma once

#include <optional>
#include <string>

#include "agent/model/meta.h"

namespace sluice::source {

struct Record {
    std::string api_version;
    std::string plural;
    std::string resource_version;
    std::string uid;
    std::string status;  // JSON; empty when there is none
};

// Of the kinds whose status we write. Any thread.
class Records {
public:
    virtual ~Records() = default;
    Records(const Records&) = delete;
    Records& operator=(const Records&) = delete;
    // None: there is no such object.
    [[nodiscard]] virtual std::optional<Record> record(const model::ObjectKey& key) const = 0;
    // We wrote a status to what was `read`, and the server answered with `written`: what a watch says of it is no news.
    virtual void note_written(const model::ObjectKey& key, const Record& read, const Record& written) = 0;

protected:
    Records() = default;
};

}  // namespace sluice::source
