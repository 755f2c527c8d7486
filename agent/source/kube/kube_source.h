// SPDX-License-Identifier: Apache-2.0
// Objects of a cluster: one list and watch a kind, Secrets and ConfigMaps only as far as our Gateways and policies
// refer to them. What the API server does not answer leaves what was known in place. A thread of its own talks to the
// server; the methods are for any thread, load() for one at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/source/kube/kube_config.h"
#include "agent/source/kube/record.h"
#include "agent/source/source.h"

namespace sluice::source {

// How a status changed by somebody else's hand.
enum class StatusChange : std::uint8_t {
    Alone,       // nothing else of the object did
    WithObject,  // the object too, or it is another one of the same name
};

class KubeSource final : public Source, public Records {
public:
    // `controller_name`: ours. What Gateways of other controllers' classes refer to is not read.
    [[nodiscard]] static Result<std::unique_ptr<KubeSource>> make(std::shared_ptr<const KubeConfig> config,
                                                                  std::string controller_name);
    ~KubeSource() override;

    [[nodiscard]] int change_fd() const override;
    [[nodiscard]] bool drain_changes() override;
    [[nodiscard]] bool is_complete() const override;
    // Refused objects are replaced by their last good version. meta.generation is the API server's.
    void update(Snapshot& snapshot) override;

    // Somebody else changed this object's status; alone, that is no change of the source. Called from the source's
    // thread with its lock held: it must not call the source. Null: nobody wants to know.
    void set_on_status(std::function<void(const model::ObjectKey&, StatusChange)> on_status);

    [[nodiscard]] std::optional<Record> record(const model::ObjectKey& key) const override;
    void note_written(const model::ObjectKey& key, const Record& read, const Record& written) override;

private:
    struct State;
    explicit KubeSource(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::source
