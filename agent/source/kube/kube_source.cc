// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/kube_source.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "agent/source/kube/referred.h"
#include "agent/source/kube/reflector.h"
#include "agent/source/object_list.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace sluice::source {
namespace {

using model::kGatewayGroup;
using model::ObjectKey;
using Clock = std::chrono::steady_clock;

constexpr long kDebounceNs = 1'000'000;  // changes come in groups; who is told waits a moment too
constexpr std::size_t kReferredMax = 500;
// How long an object that is newly referred to, and slow to come, keeps changes waiting.
constexpr std::chrono::milliseconds kPatience(5'000);

const std::array<Resource, 14>& resources()
{
    static const std::array<Resource, 14> all{{
        {"GatewayClass", kGatewayGroup, {"v1"}, "gatewayclasses", "", ""},
        {"Gateway", kGatewayGroup, {"v1"}, "gateways", "", ""},
        {"HTTPRoute", kGatewayGroup, {"v1"}, "httproutes", "", ""},
        {"GRPCRoute", kGatewayGroup, {"v1"}, "grpcroutes", "", ""},
        {"TLSRoute", kGatewayGroup, {"v1", "v1alpha3", "v1alpha2"}, "tlsroutes", "", ""},
        {"TCPRoute", kGatewayGroup, {"v1", "v1alpha2"}, "tcproutes", "", ""},
        {"UDPRoute", kGatewayGroup, {"v1", "v1alpha2"}, "udproutes", "", ""},
        {"BackendTLSPolicy", kGatewayGroup, {"v1", "v1alpha3"}, "backendtlspolicies", "", ""},
        {"ReferenceGrant", kGatewayGroup, {"v1", "v1beta1"}, "referencegrants", "", ""},
        {"Namespace", "", {"v1"}, "namespaces", "", ""},
        {"Service", "", {"v1"}, "services", "", ""},
        {"EndpointSlice", "discovery.k8s.io", {"v1"}, "endpointslices", "", ""},
        {"Node", "", {"v1"}, "nodes", "", ""},
        {"NodeGatewayConfig", model::kConfigGroup, {"v1alpha1"}, "nodegatewayconfigs", "", ""},
    }};
    return all;
}

bool has_status(const std::string& kind)
{
    return kind == "GatewayClass" || kind == "Gateway" || kind.ends_with("Route") || kind == "BackendTLSPolicy";
}

std::string text_of(const nlohmann::json& object, const char* key)
{
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Of an object nothing is kept that nobody reads: managedFields alone are often larger than the rest.
nlohmann::json trimmed(const nlohmann::json& object, const Resource& resource)
{
    nlohmann::json kept = object;
    kept["kind"] = resource.kind;
    nlohmann::json metadata = nlohmann::json::object();
    for (const char* key : {"name", "namespace", "labels", "creationTimestamp"}) {
        if (const auto found = object.at("metadata").find(key); found != object.at("metadata").end())
            metadata[key] = *found;
    }
    if (resource.kind == model::Gateway::kKind)
        metadata["uid"] = text_of(object.at("metadata"), "uid");  // what nodes say of it is of one object alone
    // Ours for the Gateways have some that we write. All others' are written by whoever likes to, at any time.
    if (const auto notes = object.at("metadata").find("annotations");
        resource.kind == model::Service::kKind && notes != object.at("metadata").end() && notes->is_object()) {
        metadata["annotations"] = *notes;
        metadata["annotations"].erase("kubectl.kubernetes.io/last-applied-configuration");
    }
    kept["metadata"] = std::move(metadata);
    kept.erase("status");
    const auto status = object.find("status");
    if (status != object.end() && status->is_object() && status->contains("addresses"))
        kept["status"]["addresses"] = status->at("addresses");
    return kept;
}

}  // namespace

struct KubeSource::State final : ReflectorUser {
    State(std::shared_ptr<const KubeConfig> config, std::string controller)
        : loop(config), controller_name(std::move(controller))
    {
    }

    struct Held {
        std::string text;  // as decoded
        std::shared_ptr<const Decoded> decoded;
        std::int64_t generation = 0;
        std::shared_ptr<const Decoded> good;  // the last that was not refused; null: none was
        std::int64_t good_generation = 0;
        Record record;
        void put_into(model::Objects& to) const
        {
            if (good != nullptr)
                put(to, good->objects.front().object, good_generation);
        }
    };

    ApiLoop loop;
    std::string controller_name;
    UniqueFd change;  // a timer: it is due a moment after the first change
    mutable std::mutex mutex;
    std::map<ObjectKey, Held> objects;
    std::map<std::string, std::string> problems;      // by what cannot be read
    std::set<std::string> unlisted;                   // resources that were not read yet
    std::map<std::string, Clock::time_point> unread;  // and what is referred to, since when
    bool was_complete = false;
    bool is_armed = false;
    std::set<ObjectKey> dirty;                                 // since the last update()
    std::uint64_t version = 0;                                 // of that
    std::map<ObjectKey, std::unique_ptr<Reflector>> referred;  // of the loop's thread
    bool is_referred_due = false;
    std::function<void(const ObjectKey&, StatusChange)> on_status;
    std::vector<std::unique_ptr<Reflector>> reflectors;
    std::jthread thread;  // last: it ends before what it uses

    static std::string label(const Resource& resource)
    {
        return resource.name.empty() ? resource.plural : resource.plural + " " + resource.ns + "/" + resource.name;
    }
    static ObjectKey key_of(const Resource& resource, const nlohmann::json& object)
    {
        const nlohmann::json& metadata = object.at("metadata");
        return {resource.kind, text_of(metadata, "namespace"), text_of(metadata, "name")};
    }

    void on_object(const Resource& resource, nlohmann::json object) override;
    void on_deleted(const Resource& resource, const nlohmann::json& object) override;
    void on_listed(const Resource& resource, const std::set<std::string>& seen) override;
    void on_problem(const Resource& resource, const std::string& message, bool is_absent) override;
    void changed(const ObjectKey& key);                           // with the lock
    void arm();                                                   // with the lock
    [[nodiscard]] bool may_refer(const AnyObject& object) const;  // with the lock
    void follow_references();
};

void KubeSource::State::on_object(const Resource& resource, nlohmann::json object)
{
    if (!object.is_object() || !object.contains("metadata") || !object.at("metadata").is_object())
        return;
    if (text_of(object, "apiVersion").empty())  // items of a list of a core kind have none
        object["apiVersion"] = (resource.group.empty() ? "" : resource.group + "/") + resource.versions.front();
    const nlohmann::json& metadata = object.at("metadata");
    const ObjectKey key = key_of(resource, object);
    std::string text = trimmed(object, resource).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    const std::string status = object.contains("status") ? object.at("status").dump() : "";
    const std::int64_t generation = metadata.value("generation", std::int64_t{1});

    const std::lock_guard lock(mutex);
    Held& held = objects[key];
    const bool is_same = held.decoded != nullptr && held.text == text && held.generation == generation;
    const bool is_same_status =
        !has_status(resource.kind) || (held.record.status == status && held.record.uid == text_of(metadata, "uid"));
    if (!is_same_status && on_status)
        on_status(key, is_same ? StatusChange::Alone : StatusChange::WithObject);
    if (has_status(resource.kind))
        held.record = {text_of(object, "apiVersion"), resource.plural, text_of(metadata, "resourceVersion"),
                       text_of(metadata, "uid"), status};
    if (!is_same) {
        held.decoded = std::make_shared<const Decoded>(decode(text, "the cluster"));
        held.generation = generation;
        held.text = std::move(text);
        if (held.decoded->objects.size() == 1) {
            held.good = held.decoded;
            held.good_generation = generation;
        }
        changed(key);
    }
}

void KubeSource::State::on_deleted(const Resource& resource, const nlohmann::json& object)
{
    if (!object.is_object() || !object.contains("metadata"))
        return;
    const std::lock_guard lock(mutex);
    const ObjectKey key = key_of(resource, object);
    if (objects.erase(key) != 0)
        changed(key);
}

void KubeSource::State::on_listed(const Resource& resource, const std::set<std::string>& seen)
{
    const std::lock_guard lock(mutex);
    const auto is_gone = [&](const auto& entry) {
        const ObjectKey& key = entry.first;
        return key.kind == resource.kind &&
               (resource.name.empty() || (key.ns == resource.ns && key.name == resource.name)) &&
               !seen.contains(key.ns + "/" + key.name);
    };
    for (auto object = objects.begin(); object != objects.end();) {
        if (!is_gone(*object)) {
            ++object;
            continue;
        }
        changed(object->first);
        object = objects.erase(object);
    }
    if (unlisted.erase(label(resource)) + unread.erase(label(resource)) != 0)
        arm();
}

void KubeSource::State::on_problem(const Resource& resource, const std::string& message, bool is_absent)
{
    if (is_absent)
        on_listed(resource, {});
    const std::lock_guard lock(mutex);
    // One Secret that the server does not give keeps nothing else waiting.
    const bool is_referred = !message.empty() && unread.erase(label(resource)) != 0;
    const bool is_news = message.empty() ? problems.erase(label(resource)) != 0
                                         : std::exchange(problems[label(resource)], message) != message;
    if (is_news || is_referred)
        arm();
}

void KubeSource::State::changed(const ObjectKey& key)
{
    dirty.insert(key);
    arm();
    const bool may_refer = key.kind == "Gateway" || key.kind == "GatewayClass" || key.kind == "BackendTLSPolicy";
    if (may_refer && !std::exchange(is_referred_due, true))
        loop.after(std::chrono::milliseconds(0), [this] { follow_references(); });
}

void KubeSource::State::arm()
{
    if (std::exchange(is_armed, true))
        return;
    const itimerspec soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kDebounceNs}};
    ::timerfd_settime(change.get(), 0, &soon, nullptr);
}

// Whether what it refers to is read: not what Gateways of other controllers do.
bool KubeSource::State::may_refer(const AnyObject& object) const
{
    const auto* gateway = std::get_if<model::Gateway>(&object);
    if (gateway == nullptr)
        return std::holds_alternative<model::BackendTlsPolicy>(object);
    const auto held = objects.find({model::GatewayClass::kKind, "", gateway->gateway_class_name});
    if (held == objects.end() || held->second.good == nullptr)
        return false;
    const auto* of_class = std::get_if<model::GatewayClass>(&held->second.good->objects.front().object);
    return of_class != nullptr && of_class->controller_name == controller_name;
}

// Begins to read the Secrets and ConfigMaps that are referred to now, and ends with the others.
void KubeSource::State::follow_references()
{
    const std::lock_guard lock(mutex);
    is_referred_due = false;
    std::map<std::string, std::set<ObjectKey>> by_namespace;
    for (const auto& [key, held] : objects) {
        if (held.good != nullptr && may_refer(held.good->objects.front().object))
            add_referred(held.good->objects.front().object, by_namespace[key.ns]);
    }
    std::set<ObjectKey> all;
    for (const auto& [ns, keys] : by_namespace)
        all.insert(keys.begin(), keys.end());
    problems.erase("references");
    if (all.size() > kReferredMax)
        problems["references"] = std::to_string(all.size()) + " Secrets and ConfigMaps are referred to; " +
                                 std::to_string(kReferredMax) + " are read, as many for each namespace";
    const std::set<ObjectKey> wanted =
        choose_referred(by_namespace, [this](const ObjectKey& key) { return referred.contains(key); }, kReferredMax);
    std::erase_if(referred, [&](const auto& entry) {
        if (wanted.contains(entry.first))
            return false;
        objects.erase(entry.first);
        dirty.insert(entry.first);
        unread.erase((entry.first.kind == "Secret" ? "secrets " : "configmaps ") + entry.first.ns + "/" +
                     entry.first.name);
        return true;
    });
    bool is_new = false;
    for (const ObjectKey& key : wanted) {
        if (referred.contains(key))
            continue;
        is_new = true;
        const Resource resource{key.kind, "",      {"v1"}, key.kind == "Secret" ? "secrets" : "configmaps",
                                key.ns,   key.name};
        unread.emplace(label(resource), Clock::now());
        auto reflector = std::make_unique<Reflector>(loop, resource, *this);
        reflector->start();
        referred.emplace(key, std::move(reflector));
    }
    if (is_new) {
        loop.after(kPatience, [this] {
            const std::lock_guard again(mutex);
            arm();
        });
    }
    arm();
}

Result<std::unique_ptr<KubeSource>> KubeSource::make(std::shared_ptr<const KubeConfig> config,
                                                     std::string controller_name)
{
    auto state = std::make_unique<State>(std::move(config), std::move(controller_name));
    state->change.reset(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!state->change.valid())
        return fail(errno, "timerfd_create", "cluster");
    for (const Resource& resource : resources()) {
        state->unlisted.insert(State::label(resource));
        state->reflectors.push_back(std::make_unique<Reflector>(state->loop, resource, *state));
        state->reflectors.back()->start();
    }
    state->thread = std::jthread([loop = &state->loop](const std::stop_token& stop) { loop->run(stop); });
    return std::unique_ptr<KubeSource>(new KubeSource(std::move(state)));
}

KubeSource::KubeSource(std::unique_ptr<State> state) : state_(std::move(state)) {}

KubeSource::~KubeSource()
{
    state_->thread.request_stop();
    state_->thread.join();
}

int KubeSource::change_fd() const { return state_->change.get(); }

bool KubeSource::drain_changes()
{
    std::uint64_t times = 0;
    const bool was_due = ::read(state_->change.get(), &times, sizeof times) > 0;
    const std::lock_guard lock(state_->mutex);
    state_->is_armed = state_->is_armed && !was_due;
    return was_due;
}

bool KubeSource::is_complete() const
{
    const std::lock_guard lock(state_->mutex);
    if (!state_->unlisted.empty() || state_->is_referred_due)
        return false;
    // At the start nothing is served by half; later on one that does not come must not hold up everybody's changes.
    const auto is_late = [now = Clock::now()](const auto& entry) { return now - entry.second >= kPatience; };
    if (!(state_->was_complete ? std::ranges::all_of(state_->unread, is_late) : state_->unread.empty()))
        return false;
    state_->was_complete = true;
    return true;
}

void KubeSource::update(Snapshot& snapshot)
{
    const std::lock_guard lock(state_->mutex);
    if (snapshot.version == 0 || snapshot.version != state_->version) {
        snapshot.objects = {};
        for (const auto& [key, held] : state_->objects)
            held.put_into(snapshot.objects);
    } else {
        for (const ObjectKey& key : state_->dirty) {
            const auto held = state_->objects.find(key);
            if (held == state_->objects.end() || held->second.good == nullptr)
                remove(snapshot.objects, key);
            else
                held->second.put_into(snapshot.objects);
        }
    }
    state_->dirty.clear();
    snapshot.version = ++state_->version;
    snapshot.problems.clear();
    for (const auto& [key, held] : state_->objects)
        std::ranges::copy(held.decoded->problems, std::back_inserter(snapshot.problems));
    for (const auto& [what, message] : state_->problems)
        snapshot.problems.push_back({false, what, 0, "", "", "", message});
}

void KubeSource::set_on_status(std::function<void(const model::ObjectKey&, StatusChange)> on_status)
{
    const std::lock_guard lock(state_->mutex);
    state_->on_status = std::move(on_status);
}

std::optional<Record> KubeSource::record(const model::ObjectKey& key) const
{
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->objects.find(key);
    if (found == state_->objects.end() || found->second.record.uid.empty())
        return std::nullopt;
    return found->second.record;
}

void KubeSource::note_written(const model::ObjectKey& key, const Record& read, const Record& written)
{
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->objects.find(key);
    // Another version than was read: a watch was faster, perhaps with something newer still.
    if (found == state_->objects.end() || found->second.record.resource_version != read.resource_version)
        return;
    found->second.record.resource_version = written.resource_version;
    found->second.record.status = written.status;
}

}  // namespace sluice::source
