// SPDX-License-Identifier: Apache-2.0
// Completions and timers that call a member function of the object that holds them.
#pragma once

#include <utility>

#include "agent/proxy/io.h"

namespace sluice::proxy {

template <class Owner> class BoundCompletion final : public Completion {
public:
    using Member = void (Owner::*)(int, Buffer);
    BoundCompletion(Owner& owner, Member member) : owner_(&owner), member_(member) {}
    void complete(int result, Buffer buffer) override { (owner_->*member_)(result, std::move(buffer)); }

private:
    Owner* owner_;
    Member member_;
};

template <class Owner> class BoundTimer final : public Timer {
public:
    using Member = void (Owner::*)();
    BoundTimer(Owner& owner, Member member) : owner_(&owner), member_(member) {}
    void expire() override { (owner_->*member_)(); }

private:
    Owner* owner_;
    Member member_;
};

}  // namespace sluice::proxy
