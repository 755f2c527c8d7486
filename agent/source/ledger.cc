// SPDX-License-Identifier: Apache-2.0
#include "agent/source/ledger.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace sluice::source {
namespace {

model::ObjectMeta& meta_of(AnyObject& object)
{
    return std::visit([](auto& each) -> model::ObjectMeta& { return each.meta; }, object);
}

struct Append {
    model::Objects& objects;
    void operator()(const model::GatewayClass& object) const { objects.gateway_classes.push_back(object); }
    void operator()(const model::Gateway& object) const { objects.gateways.push_back(object); }
    void operator()(const model::HttpRoute& object) const { objects.http_routes.push_back(object); }
    void operator()(const model::GrpcRoute& object) const { objects.grpc_routes.push_back(object); }
    void operator()(const model::TlsRoute& object) const { objects.tls_routes.push_back(object); }
    void operator()(const model::TcpRoute& object) const { objects.tcp_routes.push_back(object); }
    void operator()(const model::UdpRoute& object) const { objects.udp_routes.push_back(object); }
    void operator()(const model::BackendTlsPolicy& object) const { objects.backend_tls_policies.push_back(object); }
    void operator()(const model::ReferenceGrant& object) const { objects.reference_grants.push_back(object); }
    void operator()(const model::Namespace& object) const { objects.namespaces.push_back(object); }
    void operator()(const model::Service& object) const { objects.services.push_back(object); }
    void operator()(const model::EndpointSlice& object) const { objects.endpoint_slices.push_back(object); }
    void operator()(const model::Secret& object) const { objects.secrets.push_back(object); }
    void operator()(const model::ConfigMap& object) const { objects.config_maps.push_back(object); }
    void operator()(const model::NodeGatewayConfig& object) const { objects.node_gateway_configs.push_back(object); }
    void operator()(const model::Node& object) const { objects.nodes.push_back(object); }
};

// One place in a file that gives an object. A refused object claims its name too: or a bad edit would let its double
// elsewhere take over.
struct Mention {
    int line;
    const model::ObjectKey* key;
    const DecodedObject* object;  // null when it was refused
};

std::vector<Mention> mentions(const Decoded& decoded)
{
    std::vector<Mention> result;
    for (const DecodedObject& object : decoded.objects)
        result.push_back({object.line, &object.key, &object});
    for (const RefusedObject& refused : decoded.refused)
        result.push_back({refused.line, &refused.key, nullptr});
    // Within a line, as in JSON, the order of decoding decides, which is that of the keys' places in their vector.
    std::ranges::sort(result, {},
                      [](const Mention& each) { return std::tuple(each.line, each.object == nullptr, each.key); });
    return result;
}

}  // namespace

void Ledger::keep(const model::ObjectKey& key, Entries& next)
{
    if (const auto last = entries_.find(key); last != entries_.end())
        next.emplace(key, last->second);
}

void Ledger::keep_last_good(const std::vector<FileContent>& files, Entries& next,
                            const std::map<model::ObjectKey, std::string>& claimed)
{
    std::set<std::string> incomplete;
    for (const FileContent& file : files) {
        for (const RefusedObject& refused : file.decoded->refused)
            keep(refused.key, next);
        if (!file.decoded->complete)
            incomplete.insert(file.path);
    }
    // What cannot be read may have been any object that the file held before.
    for (const auto& [key, entry] : entries_) {
        if (incomplete.contains(entry.file) && !claimed.contains(key))
            keep(key, next);
    }
}

Snapshot Ledger::merge(const std::vector<FileContent>& files, std::vector<Problem> problems)
{
    Snapshot snapshot;
    snapshot.problems = std::move(problems);
    snapshot.files = files.size();
    Entries next;
    std::map<model::ObjectKey, std::string> claimed;  // where the name was met first
    for (const FileContent& file : files) {
        std::ranges::copy(file.decoded->problems, std::back_inserter(snapshot.problems));
        for (const Mention& mention : mentions(*file.decoded)) {
            const std::string place = file.path + ":" + std::to_string(mention.line);
            const auto [first, is_new] = claimed.emplace(*mention.key, place);
            if (mention.object == nullptr)
                continue;
            const DecodedObject& object = *mention.object;
            if (!is_new) {
                snapshot.problems.push_back({true, file.path, object.line, object.key.to_string(), "metadata.name",
                                             object.key.name, "the object is already given in " + first->second});
                continue;
            }
            Entry entry{object, file.path, 1};
            if (const auto last = entries_.find(object.key); last != entries_.end())
                entry.generation = last->second.generation + (last->second.good.spec == object.spec ? 0 : 1);
            if (file.generation != 0)
                entry.generation = file.generation;
            next.emplace(object.key, std::move(entry));
        }
    }
    keep_last_good(files, next, claimed);
    entries_ = std::move(next);
    for (auto& [key, entry] : entries_) {  // ordered by kind, namespace and name, as Objects wants it
        meta_of(entry.good.object).generation = entry.generation;
        std::visit(Append{snapshot.objects}, entry.good.object);
    }
    return snapshot;
}

}  // namespace sluice::source
