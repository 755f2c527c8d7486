// SPDX-License-Identifier: Apache-2.0
// One kind of object (or one object) of the API server, kept current: listed in pages, then watched from there on.
// Connections that end are resumed where they were; a server that has forgotten that point is listed anew. Used by the
// thread of its loop alone.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "agent/source/kube/api_client.h"

namespace sluice::source {

struct Resource {
    std::string kind;
    std::string group;                  // "" is core
    std::vector<std::string> versions;  // in order of preference
    std::string plural;
    std::string ns;    // with a name: the one object of that namespace
    std::string name;  // empty: all of them
};

// What a reflector reports to.
class ReflectorUser {
public:
    virtual void on_object(const Resource& resource, nlohmann::json object) = 0;  // new or changed
    virtual void on_deleted(const Resource& resource, const nlohmann::json& object) = 0;
    // A whole list was delivered: what is of this resource and not among `seen` ("namespace/name") is gone.
    virtual void on_listed(const Resource& resource, const std::set<std::string>& seen) = 0;
    // It cannot be read: `message` says why, and is empty when it can again. An absent kind counts as listed.
    virtual void on_problem(const Resource& resource, const std::string& message, bool is_absent) = 0;

protected:
    ~ReflectorUser() = default;
};

class Reflector {
public:
    Reflector(ApiLoop& loop, Resource resource, ReflectorUser& user);
    ~Reflector();
    Reflector(const Reflector&) = delete;
    Reflector& operator=(const Reflector&) = delete;

    void start() { list(""); }

private:
    void list(const std::string& page);
    void on_list(Result<ApiResponse> answer);
    void watch();
    bool on_watch_data(std::string_view data);
    void on_watch_line(const std::string& line);
    void on_watch_end(Result<ApiResponse> answer);
    void back_off(const std::string& why, std::chrono::seconds retry_after, void (Reflector::*then)(),
                  bool is_unreachable = false);
    void list_from_start() { list(""); }
    [[nodiscard]] std::string path() const;

    ApiLoop* loop_;
    Resource resource_;
    ReflectorUser* user_;
    std::size_t version_ = 0;  // in use
    std::size_t unknown_ = 0;  // versions that the server did not know, one after the other
    int page_;                 // objects of a list's page
    std::string resource_version_;
    std::set<std::string> seen_;  // of the list under way
    std::string line_;            // of a watch, as far as it is here
    bool forgot_ = false;         // the server has no history from our point on
    unsigned failures_ = 0;       // in a row
    bool was_unreachable_ = false;
    bool has_problem_ = false;  // the user was told of one
    bool heard_ = false;        // the watch under way has said something
    ApiLoop::Id under_way_ = 0;
};

}  // namespace sluice::source
