// SPDX-License-Identifier: Apache-2.0
// Compiles an HttpPort and routes by it. The order of HttpHost::entries is the precedence: indices into it decide.
#include "agent/proxy/router.h"

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/plan/regex.h"
#include "agent/proxy/path_trie.h"
#include "agent/proxy/router_hosts.h"
#include "agent/proxy/router_match.h"

namespace sluice::proxy {
namespace {

struct Entry {
    Conditions conditions;
    const plan::HttpRule* rule = nullptr;
    const model::PathMatch* path = nullptr;
};

struct Host {
    PathTrie paths;
    std::vector<Entry> entries;  // as in HttpHost
};

struct Listener {
    const plan::HttpListener* spec = nullptr;
    HostIndex by_hostname;
    std::vector<Host> hosts;  // as in HttpListener
};

// Each expression is compiled once, however many entries use it. Null: it does not compile.
class Regexes {
public:
    const RE2* get(const std::string& expression)
    {
        auto& regex = by_text_[expression];
        if (!regex)
            regex = std::make_unique<RE2>(expression, plan::regex_options());
        return regex->ok() ? regex.get() : nullptr;
    }

private:
    std::unordered_map<std::string, std::unique_ptr<RE2>> by_text_;
};

// False: an expression does not compile.
bool compile_values(const std::vector<model::ValueMatch>& values, Regexes& regexes, std::vector<ValueCondition>& out)
{
    for (const model::ValueMatch& value : values) {
        ValueCondition& condition = out.emplace_back();
        condition.name = value.name;
        condition.exact = value.value;
        if (value.type != model::ValueMatchType::RegularExpression)
            continue;
        condition.regex = regexes.get(value.value);
        if (condition.regex == nullptr)
            return false;
    }
    return true;
}

// Routes are matched by the same canonical form as requests. What has none can never be asked for.
void add_path(const model::PathMatch& path, PathTrie::Index index, Regexes& regexes, PathTrie& paths)
{
    if (path.type == model::PathMatchType::RegularExpression) {
        if (const RE2* const regex = regexes.get(path.value))
            paths.add_regex(*regex, index);
        return;
    }
    std::string buffer(path.value.size(), '\0');
    const auto canonical = canonical_path(path.value, buffer);
    if (!canonical)
        return;
    if (path.type == model::PathMatchType::Exact)
        paths.add_exact(*canonical, index);
    else
        paths.add_prefix(*canonical, index);
}

void compile_host(const plan::HttpHost& spec, Regexes& regexes, Host& host)
{
    host.entries.resize(spec.entries.size());
    for (std::size_t i = 0; i < spec.entries.size(); ++i) {
        const plan::HttpEntry& source = spec.entries[i];
        Entry& entry = host.entries[i];
        entry.conditions.method = source.match->method;
        if (!compile_values(source.match->headers, regexes, entry.conditions.headers) ||
            !compile_values(source.match->query_params, regexes, entry.conditions.query_params))
            continue;
        entry.rule = source.rule.get();
        entry.path = &source.match->path;
        add_path(source.match->path, static_cast<PathTrie::Index>(i), regexes, host.paths);
    }
}

const Entry* find_entry(const Host& host, const RequestView& request)
{
    const PathTrie::Index index = host.paths.find(
        request.path, [&](PathTrie::Index each) { return meets(request, host.entries[each].conditions); });
    return index == PathTrie::kNone ? nullptr : &host.entries[index];
}

}  // namespace

struct Router::State {
    HostIndex by_hostname;
    std::vector<Listener> listeners;  // as in HttpPort
    Regexes regexes;
};

Router::Router(std::unique_ptr<State> state) : state_(std::move(state)) {}
Router::~Router() = default;

std::unique_ptr<Router> Router::make(const plan::HttpPort& port)
{
    auto state = std::make_unique<State>();
    state->listeners.resize(port.listeners.size());
    for (std::size_t i = 0; i < port.listeners.size(); ++i) {
        const plan::HttpListener& spec = port.listeners[i];
        Listener& listener = state->listeners[i];
        listener.spec = &spec;
        state->by_hostname.add(spec.hostname, static_cast<HostIndex::Index>(i));
        listener.hosts.resize(spec.hosts.size());
        for (std::size_t j = 0; j < spec.hosts.size(); ++j) {
            listener.by_hostname.add(spec.hosts[j].hostname, static_cast<HostIndex::Index>(j));
            compile_host(spec.hosts[j], state->regexes, listener.hosts[j]);
        }
    }
    return std::unique_ptr<Router>(new Router(std::move(state)));
}

RouteResult Router::route(const RequestView& request) const
{
    RouteResult result;
    const RequestHost host(request.authority);
    state_->by_hostname.visit(host.name(), [&](HostIndex::Index each) {
        const Listener& listener = state_->listeners[each];
        result.listener = listener.spec;
        listener.by_hostname.visit(host.name(), [&](HostIndex::Index index) {
            const Entry* entry = find_entry(listener.hosts[index], request);
            if (entry == nullptr)
                return false;
            result.rule = entry->rule;
            result.path = entry->path;
            return result.rule != nullptr;
        });
        return true;  // the most specific listener serves, alone
    });
    return result;
}

}  // namespace sluice::proxy
