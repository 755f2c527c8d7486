// SPDX-License-Identifier: Apache-2.0
// The control thread: waits for changes of manifests and network, and takes each one the whole way: objects -> plan
// -> kernel tables and proxy -> status. Everything below it is called from this thread alone; only `report` may be
// called from others.
#pragma once

#include <memory>

#include "agent/admin/report.h"
#include "agent/control/options.h"
#include "base/result.h"

namespace sluice::control {

class Control {
public:
    // Opens everything that serving needs. Errors name the option at fault where there is one.
    [[nodiscard]] static Result<std::unique_ptr<Control>> make(const Options& options);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    // Serves until `stop_fd` is readable; then drains and, unless keep_pinned, removes every trace.
    [[nodiscard]] Result<void> run(int stop_fd);

    [[nodiscard]] admin::Report report() const;

private:
    struct State;
    explicit Control(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::control
