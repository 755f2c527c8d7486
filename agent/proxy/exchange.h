// SPDX-License-Identifier: Apache-2.0
// One request and its response on their way through: routed by the snapshot of its beginning, sent to a backend,
// repeated where that is safe, timed, counted. Knows no version of HTTP; its two sides do. Holds at most one piece of
// the body in each direction. Owned by its worker, taken from and given back to the worker's pool.
#pragma once

#include <string>
#include <vector>

#include "agent/proxy/arrival.h"
#include "agent/proxy/counters.h"
#include "agent/proxy/router.h"
#include "agent/proxy/snapshot.h"
#include "agent/proxy/upstream.h"
#include "agent/proxy/upstream_pool.h"

namespace sluice::proxy {

class Exchange;
class Worker;

// The client's side of an exchange: an HTTP/1 connection or a stream of an HTTP/2 one.
class Downstream {
public:
    virtual void send_interim(const http1::ResponseHead& head) = 0;
    virtual void send_response(const http1::ResponseHead& head, bool end) = 0;
    virtual void send_body(Bytes body, bool end) = 0;  // then waits for Exchange::on_response_taken
    virtual void send_trailers(std::span<const http1::Header> trailers) = 0;
    virtual void resume_request() = 0;  // more of the request's body is wanted
    virtual void cut() = 0;             // the response cannot be completed
    virtual void serve_no_more() = 0;   // no further request on this connection
    // A 101 was sent (send_response): the bytes belong to the two ends from here.
    virtual void become_tunnel(Upstream::Detached backend) = 0;

protected:
    ~Downstream() = default;
};

class Exchange final : public UpstreamUser {
public:
    Exchange(Worker& worker, std::size_t place);
    [[nodiscard]] std::size_t place() const { return place_; }  // among the worker's
    void set_place(std::size_t place) { place_ = place; }
    void reset();                                  // as new, for the pool, but that it holds the current snapshot
    void forget_snapshot() { snapshot_.reset(); }  // in the pool

    // From the client's side. `head` need only live during the call. `body`: what is here of it; `end`: that is all.
    void begin(Downstream& client, const Arrival& from, const http1::RequestHead& head, Bytes body, bool end);
    // Each only after `resume_request`, or once if `begin` had no body.
    void on_request_body(Bytes body, bool end);
    void on_request_trailers(std::span<const http1::Header> trailers);  // ends it
    void on_request_malformed();
    void on_response_taken();
    // The client is gone or has what it wants. Nobody is called again, and the exchange goes back to the pool.
    void release();
    // An answer of our own, also to what was no request.
    void answer(int status);
    void begin_refused(Downstream& client, int status, bool is_head);  // a head that does not parse

    [[nodiscard]] bool response_begun() const { return response_begun_; }
    [[nodiscard]] ListenerCounters* counters() const { return counters_; }
    // What is to be done to the response's fields; null: nothing.
    [[nodiscard]] const model::HeaderModifier* response_modifier() const { return response_modifier_; }

private:
    void on_upstream_ready() override;
    void on_upstream_failed(UpstreamFailure failure) override;
    void on_request_taken() override;
    void on_interim(const http1::ResponseHead& head) override;
    void on_response(const http1::ResponseHead& head, bool end) override;
    void on_response_body(Bytes body, bool end) override;
    void on_response_trailers(std::span<const http1::Header> trailers) override;

    // What was forwarded is kept for a second attempt while there may be one, and all that are kept take little memory.
    void keep_head();
    void forget_head();
    void answer_elsewhere(const model::Redirect& redirect, const std::string& location);
    void connect(bool fresh);
    void send_continue();
    void send_pending_body();
    void end_response();
    void drop_upstream();
    void touch();
    void on_idle();
    void on_request_timeout();

    Worker* worker_;
    std::size_t place_;
    Downstream* client_ = nullptr;
    Upstream* upstream_ = nullptr;
    SnapshotPtr snapshot_;
    ListenerCounters* counters_ = nullptr;
    const plan::Backend* backend_ = nullptr;
    const model::HeaderModifier* response_modifier_ = nullptr;  // of the snapshot
    std::uint64_t deadline_ms_ = 0;                             // on the loop's clock; 0: none
    UpstreamPool::Target target_;
    ForwardedHead head_;
    std::size_t kept_bytes_ = 0;        // of `head_`, as the worker counts them
    std::vector<SocketAddress> tried_;  // endpoints that did not answer
    Bytes body_;                        // of the request, for the backend
    std::vector<std::pair<std::string, std::string>> trailers_;
    std::size_t interim_bytes_ = 0;  // passed on
    bool has_body_ = false;          // body_ waits, perhaps empty with the end
    bool request_ended_ = false;     // the client has sent all
    bool upstream_ready_ = false;
    bool upstream_busy_ = false;  // it has not taken the last piece yet
    bool head_sent_ = false;
    bool body_sent_ = false;  // a byte of the body, or a trailer, went to a backend: no second attempt
    bool expects_continue_ = false;
    bool response_begun_ = false;
    bool response_ended_ = false;
    bool grpc_ = false;
    bool is_head_ = false;

    BoundTimer<Exchange> idle_timer_{*this, &Exchange::on_idle};
    BoundTimer<Exchange> request_timer_{*this, &Exchange::on_request_timeout};
};

}  // namespace sluice::proxy
