// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/membership.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/source/kube/json_parts.h"
#include "agent/source/kube/lease_time.h"
#include "agent/source/kube/served_text.h"
#include "base/log.h"

namespace sluice::source {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kDuration(3);
constexpr milliseconds kEvery(1'000);
constexpr milliseconds kSoon(100);               // while somebody waits for what is read
constexpr milliseconds kOld(1'500);              // a list without what we wrote so long ago is old
constexpr std::chrono::seconds kLongBefore(60);  // a Lease so much older than the newest is of a dead agent
constexpr std::chrono::hours kForgetAfter(1);
constexpr std::size_t kForgottenAtOnce = 4;

}  // namespace

Membership::Membership(std::shared_ptr<const KubeConfig> config, std::string ns, std::string node,
                       std::function<void(View)> on_change)
    : config_(std::move(config)),
      node_(std::move(node)),
      on_change_(std::move(on_change)),
      leases_(std::move(ns)),
      thread_([this](const std::stop_token& stop) { run(stop); })
{
}

void Membership::leave()
{
    if (!thread_.joinable())
        return;
    thread_.request_stop();
    thread_.join();
    if (!is_joined_)
        return;
    ApiClient client(config_);
    static_cast<void>(leases_.remove(client, NodeLease::Alive, node_));
    static_cast<void>(leases_.remove(client, NodeLease::Served, node_));
}

void Membership::join()
{
    const std::lock_guard lock(mutex_);
    is_joined_ = has_news_ = true;
    changed_.notify_all();
}

void Membership::hand_over()
{
    const std::lock_guard lock(mutex_);
    is_joined_ = false;
    attention_ = Attention::None;
}

void Membership::say(model::ServedGateways served)
{
    const std::lock_guard lock(mutex_);
    if (served_ == served)
        return;
    served_ = std::move(served);
    has_news_ = true;
    changed_.notify_all();
}

void Membership::listen(Attention attention)
{
    const std::lock_guard lock(mutex_);
    attention_ = attention;
    changed_.notify_all();
}

Attention Membership::attention()
{
    const std::lock_guard lock(mutex_);
    return attention_;
}

void Membership::run(const std::stop_token& stop)
{
    ApiClient client(config_);
    while (!stop.stop_requested()) {
        const bool is_renewed = renew(client, stop);
        const bool is_seen = look(client, stop);
        was_away_ = !is_renewed || !is_seen;
        hear(client, stop);
        clear_away(client, stop);
        wait(client, is_seen, stop);
    }
}

void Membership::wait(ApiClient& client, bool is_seen, const std::stop_token& stop)
{
    // Nothing is served before the others are known for the first time.
    const auto end = Clock::now() + (!is_seen && view_.nodes.empty() ? kSoon : kEvery);
    const auto is_due = [this] { return is_joined_ && has_news_; };
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested() && !is_due() && Clock::now() < end) {
        const Attention paid = attention_;
        const auto until = paid == Attention::Hurried ? std::min(end, Clock::now() + kSoon) : end;
        changed_.wait_until(lock, stop, until, [&] { return is_due() || attention_ != paid; });
        if (attention_ != Attention::Hurried)
            continue;
        lock.unlock();
        hear(client, stop);
        lock.lock();
    }
}

bool Membership::renew(ApiClient& client, const std::stop_token& stop)
{
    {
        const std::lock_guard lock(mutex_);
        if (!is_joined_)
            return true;
    }
    // First, or what an agent before this one said would count as ours.
    say_news(client, stop);
    const auto written =
        leases_.write(client, NodeLease::Alive, node_,
                      {{"spec", {{"leaseDurationSeconds", kDuration.count()}, {"renewTime", micro_time()}}}}, stop);
    // Who took us for dead has removed both.
    is_unsaid_ = is_unsaid_ || written == NodeLeases::Written::Made;
    return written != NodeLeases::Written::Failed;
}

void Membership::say_news(ApiClient& client, const std::stop_token& stop)
{
    std::string said;
    {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(has_news_, false) && !is_unsaid_)
            return;
        said = served_text(served_);
    }
    if (said.empty() && !std::exchange(is_speechless_, true))
        spdlog::error("what this node serves is more than {} bytes, which the other nodes cannot be told: no Gateway "
                      "is Programmed",
                      kServedBytesMax);
    is_unsaid_ =
        leases_.write(client, NodeLease::Served, node_, {{"metadata", {{"annotations", {{kServedAnnotation, said}}}}}},
                      stop) == NodeLeases::Written::Failed;
}

bool Membership::look(ApiClient& client, const std::stop_token& stop)
{
    const auto leases = leases_.list(client, NodeLease::Alive, stop);
    if (!leases)
        return false;
    const auto now = Clock::now();
    std::map<std::string, Seen> seen;
    std::string newest;
    for (const json& lease : *leases) {
        const json& spec = part(lease, "spec");
        const std::string renewal = text_at(spec, "renewTime");
        newest = std::max(newest, renewal);
        seen[text_at(spec, "holderIdentity")] = {renewal, now, false,
                                                 text_at(part(lease, "metadata"), "resourceVersion")};
    }
    seen.erase("");
    const auto before = [this](const std::string& node) {
        const auto known = seen_.find(node);
        return known == seen_.end() ? nullptr : &known->second;
    };
    bool is_old = was_away_;
    {
        const std::lock_guard lock(mutex_);
        Seen& own = seen[node_];
        const Seen* known = before(node_);
        const bool is_unchanged = is_joined_ && known != nullptr && known->renewal == own.renewal;
        own.since = is_unchanged ? known->since : now;
        is_old = is_old || now - own.since >= kOld;
    }
    View view{.nodes = {}, .served = {}};
    for (auto& [node, entry] : seen) {
        if (node != node_)
            entry = seen_again(before(node), std::move(entry), newest, is_old);
        if (entry.is_gone)
            continue;
        view.nodes.push_back(node);
        if (const auto word = view_.served.find(node); word != view_.served.end())
            view.served.insert(*word);
    }
    seen_ = std::move(seen);
    show(std::move(view));
    return true;
}

Membership::Seen Membership::seen_again(const Seen* before, Seen now, const std::string& newest, bool is_old)
{
    if (before == nullptr) {
        now.is_gone = is_before(now.renewal, newest, kLongBefore);
        return now;
    }
    if (before->renewal != now.renewal)
        return now;
    now.is_gone = before->is_gone;
    // Nobody can be seen to renew in what is old: the time of those who were there begins anew.
    if (now.is_gone || !is_old) {
        now.is_gone = now.is_gone || now.since - before->since >= kDuration;
        now.since = before->since;
    }
    return now;
}

void Membership::hear(ApiClient& client, const std::stop_token& stop)
{
    View view = view_;
    view.served.clear();
    if (attention() != Attention::None) {
        const auto leases = leases_.list(client, NodeLease::Served, stop);
        if (!leases)
            return;
        for (const json& lease : *leases) {
            const std::string node = text_at(part(lease, "spec"), "holderIdentity");
            if (node != node_ && std::ranges::binary_search(view.nodes, node))
                view.served[node] =
                    parse_served(text_at(part(part(lease, "metadata"), "annotations"), kServedAnnotation));
        }
    }
    show(std::move(view));
}

void Membership::show(View view)
{
    if (view == view_)
        return;
    if (view.nodes != view_.nodes) {
        std::string names;
        for (const std::string& node : view.nodes)
            names += (names.empty() ? "" : ", ") + node;
        spdlog::info("serving nodes: {}", names);
    }
    view_ = view;
    on_change_(std::move(view));
}

// Nobody else removes the Leases of a node that is gone for good; one that comes back makes them anew.
void Membership::clear_away(ApiClient& client, const std::stop_token& stop)
{
    std::size_t count = 0;
    for (auto& [node, seen] : seen_) {
        if (!seen.is_gone || Clock::now() - seen.since < kForgetAfter || ++count > kForgottenAtOnce)
            continue;
        seen.since = Clock::now();  // of the next try, if this one fails
        if (leases_.remove(client, NodeLease::Alive, node, seen.version, stop))
            static_cast<void>(leases_.remove(client, NodeLease::Served, node, "", stop));
    }
}

}  // namespace sluice::source
