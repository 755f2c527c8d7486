// SPDX-License-Identifier: Apache-2.0
// Who controls this node's kernel tables, addresses and Leases: one agent at a time. An agent that starts asks the one
// before it, over an abstract unix socket of the network namespace, to stand by; that one goes on serving the
// connections it has, and has control again should its successor end. So an update overlaps, and nobody is without a
// gateway. Peers of another user are not believed. Control thread only.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::control {

class Handover {
public:
    // `scope`: agents of one scope (a pin directory) and network namespace succeed each other.
    [[nodiscard]] static Result<Handover> make(const std::string& scope);

    // Has control given to us; waits up to five seconds for the agent before us. A socket that another user holds stops
    // nobody: then no agent is asked, and a successor will find none. Errors: the agent before us does not answer.
    [[nodiscard]] Result<void> take();
    [[nodiscard]] bool in_control() const { return in_control_; }

    [[nodiscard]] int fd() const { return epoll_.get(); }  // readable when poll() has something to tell
    enum class Event {
        None,
        Asked,      // a successor asks: give() once our hands are off
        Alone,      // the successor that we gave to has ended: take()
        Succeeded,  // the one that gave to us has ended
    };
    [[nodiscard]] Event poll();
    void give();

private:
    Handover() = default;
    [[nodiscard]] Result<void> listen();
    [[nodiscard]] Result<bool> ask();  // false: the socket is another user's
    [[nodiscard]] Event on_asked();
    void watch(const UniqueFd& fd) const;

    std::string name_;
    UniqueFd epoll_;
    bool in_control_ = false;
    UniqueFd listener_;     // while we have control
    UniqueFd predecessor_;  // held open as long as we live
    UniqueFd successor_;
};

}  // namespace sluice::control
