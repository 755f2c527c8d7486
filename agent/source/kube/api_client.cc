// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/api_client.h"

#include <curl/curl.h>

#include <algorithm>

namespace sluice::source {
namespace {

using Clock = std::chrono::steady_clock;

constexpr long kConnectMs = 5'000;
// Of TCP: an idle connection whose other end has vanished ends after 45 s.
constexpr long kKeepAliveIdleSeconds = 15;
constexpr long kKeepAliveIntervalSeconds = 10;
constexpr long kKeepAliveProbes = 3;
constexpr int kPollMs = 10'000;

// What a request needs while it is under way.
struct Call {
    curl_slist* fields = nullptr;
    curl_slist* detour = nullptr;
    std::string body;
    std::string answer;
    std::function<bool(std::string_view)> on_data;
    CURL* handle = nullptr;
    bool is_too_large = false;

    ~Call()
    {
        curl_slist_free_all(fields);
        curl_slist_free_all(detour);
    }
};

void set_up_library()
{
    static const CURLcode once = curl_global_init(CURL_GLOBAL_ALL);
    static_cast<void>(once);
}

std::size_t take_body(char* data, std::size_t, std::size_t count, void* user)
{
    Call& call = *static_cast<Call*>(user);
    long status = 0;
    curl_easy_getinfo(call.handle, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && call.on_data)
        return call.on_data({data, count}) ? count : 0;
    call.is_too_large = call.answer.size() + count > kResponseBytesMax;
    if (call.is_too_large)
        return 0;
    call.answer.append(data, count);
    return count;
}

// curl asks for and verifies the name that the URL has: where the server's certificate has another, the URL has that
// one, while the connection and the request still name the server.
struct Place {
    std::string url;
    std::string detour;  // CURLOPT_CONNECT_TO; empty: none, nor of what follows
    std::string host;    // a field
};
Place place_of(const KubeConfig& config)
{
    if (config.server_name.empty())
        return {config.server, {}, {}};
    const std::size_t begin = config.server.find("://") + 3;
    const std::size_t end = std::min(config.server.find('/', begin), config.server.size());
    const std::string authority = config.server.substr(begin, end - begin);
    std::string host = authority;
    std::string port = config.server.starts_with("https:") ? "443" : "80";
    if (const std::size_t colon = host.rfind(':'); colon != std::string::npos && !host.ends_with(']')) {
        port = host.substr(colon + 1);
        host.resize(colon);
    }
    return {config.server.substr(0, begin) + config.server_name + ":" + port + config.server.substr(end),
            "::" + host + ":" + port, "Host: " + authority};
}

Result<void> prepare(CURL* handle, const KubeConfig& config, const ApiRequest& request, Call& call)
{
    call.handle = handle;
    call.body = request.body;
    curl_easy_reset(handle);
    const auto set = [handle](CURLoption option, auto value) { curl_easy_setopt(handle, option, value); };
    const Place place = place_of(config);
    set(CURLOPT_URL, (place.url + request.path).c_str());
    if (!place.detour.empty()) {
        call.detour = curl_slist_append(call.detour, place.detour.c_str());
        set(CURLOPT_CONNECT_TO, call.detour);
        call.fields = curl_slist_append(call.fields, place.host.c_str());
    }
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_ACCEPT_ENCODING, "gzip");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);  // bytes a second
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.silence_max.count()));
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_TCP_KEEPIDLE, kKeepAliveIdleSeconds);
    set(CURLOPT_TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
    set(CURLOPT_TCP_KEEPCNT, kKeepAliveProbes);
    set(CURLOPT_USERAGENT, "sluice");
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!config.ca_file.empty())
        set(CURLOPT_CAINFO, config.ca_file.c_str());
    if (!config.certificate_file.empty())
        set(CURLOPT_SSLCERT, config.certificate_file.c_str());
    if (!config.key_file.empty())
        set(CURLOPT_SSLKEY, config.key_file.c_str());
    set(CURLOPT_SSL_VERIFYPEER, config.verifies_server ? 1L : 0L);
    set(CURLOPT_SSL_VERIFYHOST, config.verifies_server ? 2L : 0L);
    set(CURLOPT_WRITEFUNCTION, take_body);
    set(CURLOPT_WRITEDATA, &call);
    call.fields = curl_slist_append(call.fields, "Accept: application/json");
    if (!call.body.empty()) {
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
        set(CURLOPT_POSTFIELDS, call.body.data());
        call.fields = curl_slist_append(call.fields, (std::string("Content-Type: ") + request.content_type).c_str());
    }
    if (config.token != nullptr) {
        const auto token = config.token->get();
        if (!token)
            return std::unexpected(token.error());
        call.fields = curl_slist_append(call.fields, ("Authorization: Bearer " + *token).c_str());
    }
    set(CURLOPT_HTTPHEADER, call.fields);
    return {};
}

Result<ApiResponse> outcome(const KubeConfig& config, const Call& call, CURLcode code, std::string answer)
{
    if (call.is_too_large)
        return fail(EFBIG, "API server", "the answer has more than 64 MiB");
    if (code != CURLE_OK) {
        const char* url = nullptr;
        curl_easy_getinfo(call.handle, CURLINFO_EFFECTIVE_URL, &url);
        return fail(0, "API server", std::string(url == nullptr ? "" : url) + ": " + curl_easy_strerror(code));
    }
    ApiResponse response;
    long status = 0;
    curl_off_t seconds = 0;
    curl_easy_getinfo(call.handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call.handle, CURLINFO_RETRY_AFTER, &seconds);
    response.status = static_cast<int>(status);
    if (status == 401 && config.token != nullptr)
        config.token->refused();
    response.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, 60));
    response.body = std::move(answer);
    return response;
}

}  // namespace

ApiClient::ApiClient(std::shared_ptr<const KubeConfig> config) : config_(std::move(config))
{
    set_up_library();
    handle_ = curl_easy_init();
    multi_ = curl_multi_init();
}

ApiClient::~ApiClient()
{
    curl_easy_cleanup(handle_);
    curl_multi_cleanup(multi_);
}

Result<ApiResponse> ApiClient::call(const ApiRequest& request, const std::stop_token& stop)
{
    Call call;
    if (auto prepared = prepare(handle_, *config_, request, call); !prepared)
        return std::unexpected(prepared.error());
    const std::stop_callback wake(stop, [this] { curl_multi_wakeup(multi_); });
    curl_multi_add_handle(multi_, handle_);
    int running = 1;
    while (running > 0 && !stop.stop_requested()) {
        curl_multi_perform(multi_, &running);
        if (running > 0)
            curl_multi_poll(multi_, nullptr, 0, kPollMs, nullptr);
    }
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg == CURLMSG_DONE)
            code = message->data.result;
    }
    auto result = outcome(*config_, call, code, std::move(call.answer));
    curl_multi_remove_handle(multi_, handle_);
    return result;
}

struct ApiLoop::Transfer {
    explicit Transfer(CURLM* loop) : multi(loop), handle(curl_easy_init()) {}
    ~Transfer()
    {
        curl_multi_remove_handle(multi, handle);
        curl_easy_cleanup(handle);
    }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    CURLM* multi;
    CURL* handle;
    Id id = 0;
    Call call;
    std::function<void(Result<ApiResponse>)> on_done;
};

ApiLoop::ApiLoop(std::shared_ptr<const KubeConfig> config) : config_(std::move(config))
{
    set_up_library();
    multi_ = curl_multi_init();
}

ApiLoop::~ApiLoop()
{
    transfers_.clear();
    curl_multi_cleanup(multi_);
}

ApiLoop::Id ApiLoop::start(const ApiRequest& request, Handlers handlers)
{
    auto transfer = std::make_unique<Transfer>(multi_);
    transfer->id = next_id_++;
    transfer->call.on_data = std::move(handlers.on_data);
    transfer->on_done = std::move(handlers.on_done);
    if (auto prepared = prepare(transfer->handle, *config_, request, transfer->call); !prepared)
        return after(std::chrono::milliseconds(0),
                     [done = std::move(transfer->on_done), error = prepared.error()] { done(std::unexpected(error)); });
    curl_easy_setopt(transfer->handle, CURLOPT_PRIVATE, transfer.get());
    curl_multi_add_handle(multi_, transfer->handle);
    const Id id = transfer->id;
    transfers_.emplace(id, std::move(transfer));
    return id;
}

ApiLoop::Id ApiLoop::after(std::chrono::milliseconds delay, std::function<void()> task)
{
    const Id id = next_id_++;
    timers_.emplace(Clock::now() + delay, std::pair(id, std::move(task)));
    return id;
}

void ApiLoop::cancel(Id id)
{
    transfers_.erase(id);
    std::erase_if(timers_, [id](const auto& timer) { return timer.second.first == id; });
}

std::chrono::milliseconds ApiLoop::until_next_timer() const
{
    constexpr std::chrono::milliseconds kLongest(kPollMs);
    if (timers_.empty())
        return kLongest;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now());
    return std::clamp(left, std::chrono::milliseconds(0), kLongest);
}

void ApiLoop::run_timers()
{
    while (!timers_.empty() && timers_.begin()->first <= Clock::now()) {
        const auto task = std::move(timers_.begin()->second.second);
        timers_.erase(timers_.begin());
        task();
    }
}

void ApiLoop::finish_done()
{
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE)
            continue;
        Transfer* transfer = nullptr;
        const CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        const auto done = std::move(transfer->on_done);
        auto result = outcome(*config_, transfer->call, code, std::move(transfer->call.answer));
        transfers_.erase(transfer->id);
        done(std::move(result));
    }
}

void ApiLoop::run(const std::stop_token& stop)
{
    const std::stop_callback wake(stop, [this] { curl_multi_wakeup(multi_); });
    while (!stop.stop_requested()) {
        run_timers();
        int running = 0;
        curl_multi_perform(multi_, &running);
        finish_done();
        curl_multi_poll(multi_, nullptr, 0, static_cast<int>(until_next_timer().count()), nullptr);
    }
}

}  // namespace sluice::source
