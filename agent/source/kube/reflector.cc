// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/reflector.h"

#include <algorithm>
#include <random>

namespace sluice::source {
namespace {

using std::chrono::milliseconds;

constexpr int kPage = 500;
constexpr std::size_t kLineBytesMax = 8U << 20;  // an object is at most 1.5 MiB in etcd
constexpr milliseconds kBackOffMin(100);
constexpr milliseconds kBackOffMax(10'000);
constexpr milliseconds kUnreachableMax(1'000);  // a server that comes back is to be noticed at once
constexpr milliseconds kAbsentAgain(10'000);    // when a kind that is not there is looked for again
constexpr auto kWatchTime = std::chrono::minutes(10);
constexpr auto kSilenceMax = std::chrono::seconds(90);  // the API server sends a bookmark about every minute

milliseconds with_jitter(milliseconds delay)
{
    static thread_local std::minstd_rand random(std::random_device{}());
    return delay + milliseconds(std::uniform_int_distribution<long>(0, delay.count() / 2)(random));
}

std::string text_of(const nlohmann::json& object, const char* key)
{
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const nlohmann::json& metadata_of(const nlohmann::json& object)
{
    static const nlohmann::json empty = nlohmann::json::object();
    const auto found = object.is_object() ? object.find("metadata") : object.end();
    return object.is_object() && found != object.end() && found->is_object() ? *found : empty;
}

std::string escaped(const std::string& text)
{
    std::string out;
    for (const char c : text) {
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
            c == '_') {
            out += c;
            continue;
        }
        constexpr const char* kHex = "0123456789ABCDEF";
        out += '%';
        out += kHex[static_cast<unsigned char>(c) >> 4U];
        out += kHex[static_cast<unsigned char>(c) & 15U];
    }
    return out;
}

}  // namespace

Reflector::Reflector(ApiLoop& loop, Resource resource, ReflectorUser& user)
    : loop_(&loop), resource_(std::move(resource)), user_(&user), page_(kPage)
{
}

Reflector::~Reflector() { loop_->cancel(under_way_); }

std::string Reflector::path() const
{
    std::string text = resource_.group.empty() ? "/api/" : "/apis/" + resource_.group + "/";
    text += resource_.versions[version_];
    if (!resource_.ns.empty())
        text += "/namespaces/" + escaped(resource_.ns);
    text += "/" + resource_.plural + "?";
    if (!resource_.name.empty())
        text += "fieldSelector=metadata.name%3D" + escaped(resource_.name) + "&";
    return text;
}

void Reflector::list(const std::string& page)
{
    if (page.empty())
        seen_.clear();
    ApiRequest request{.path = path() + "limit=" + std::to_string(page_)};
    if (!page.empty())
        request.path += "&continue=" + escaped(page);
    under_way_ = loop_->start(
        request, {.on_data = {}, .on_done = [this](Result<ApiResponse> answer) { on_list(std::move(answer)); }});
}

void Reflector::on_list(Result<ApiResponse> answer)
{
    if (!answer && answer.error().errno_value == EFBIG && page_ > 1) {
        page_ /= 2;
        return list("");
    }
    if (!answer)
        return back_off(to_string(answer.error()), {}, &Reflector::list_from_start, true);
    if (answer->status == 404) {
        version_ = (version_ + 1) % resource_.versions.size();  // also back to one that an upgrade has brought
        if (++unknown_ < resource_.versions.size())
            return list("");
        version_ = unknown_ = 0;
        user_->on_problem(resource_, "the API server does not know " + resource_.plural + "." + resource_.group, true);
        under_way_ = loop_->after(with_jitter(kAbsentAgain), [this] { list(""); });
        return;
    }
    unknown_ = 0;
    if (answer->status != 200)
        return back_off("the API server answers " + std::to_string(answer->status) + " to a list of " +
                            resource_.plural,
                        answer->retry_after, &Reflector::list_from_start);
    nlohmann::json body = nlohmann::json::parse(answer->body, nullptr, false);
    if (!body.is_object() || !body.contains("items") || !(body.at("items").is_array() || body.at("items").is_null()))
        return back_off("the API server's list of " + resource_.plural + " is no list", {},
                        &Reflector::list_from_start);
    for (nlohmann::json& item : body.at("items")) {
        const nlohmann::json& metadata = metadata_of(item);
        seen_.insert(text_of(metadata, "namespace") + "/" + text_of(metadata, "name"));
        user_->on_object(resource_, std::move(item));
    }
    const std::string next = text_of(metadata_of(body), "continue");
    if (!next.empty())
        return list(next);
    failures_ = 0;
    page_ = kPage;
    forgot_ = has_problem_ = false;
    resource_version_ = text_of(metadata_of(body), "resourceVersion");
    user_->on_problem(resource_, "", false);
    user_->on_listed(resource_, std::exchange(seen_, {}));
    watch();
}

void Reflector::watch()
{
    line_.clear();
    heard_ = false;
    const ApiRequest request{.path = path() +
                                     "watch=1&allowWatchBookmarks=true&resourceVersion=" + escaped(resource_version_) +
                                     "&timeoutSeconds=" + std::to_string(std::chrono::seconds(kWatchTime).count()),
                             .timeout = kWatchTime + std::chrono::seconds(30),
                             .silence_max = kSilenceMax};
    under_way_ =
        loop_->start(request, {.on_data = [this](std::string_view data) { return on_watch_data(data); },
                               .on_done = [this](Result<ApiResponse> answer) { on_watch_end(std::move(answer)); }});
}

bool Reflector::on_watch_data(std::string_view data)
{
    failures_ = 0;
    heard_ = true;
    if (std::exchange(has_problem_, false))
        user_->on_problem(resource_, "", false);
    while (!data.empty()) {
        const std::size_t end = data.find('\n');
        line_.append(data.substr(0, end));
        if (line_.size() > kLineBytesMax)
            return false;
        if (end == std::string_view::npos)
            return true;
        data.remove_prefix(end + 1);
        on_watch_line(std::exchange(line_, {}));
        if (forgot_)
            return false;
    }
    return true;
}

void Reflector::on_watch_line(const std::string& line)
{
    nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
    const std::string type = event.is_object() ? text_of(event, "type") : "";
    if (!event.is_object() || !event.contains("object") || type.empty() || type == "ERROR") {
        forgot_ = true;  // 410 Gone, or nothing that a watch says: a list tells how things are
        return;
    }
    nlohmann::json& object = event.at("object");
    if (const std::string version = text_of(metadata_of(object), "resourceVersion"); !version.empty())
        resource_version_ = version;
    if (type == "DELETED")
        user_->on_deleted(resource_, object);
    else if (type == "ADDED" || type == "MODIFIED")
        user_->on_object(resource_, std::move(object));
}

void Reflector::on_watch_end(Result<ApiResponse> answer)
{
    if (forgot_ || (answer && answer->status == 410))
        return list("");
    if (answer && answer->status == 404)
        return back_off("the kind is gone", {}, &Reflector::list_from_start);
    if (answer && answer->status == 200 && heard_)
        return watch();  // its time is over
    const std::string why =
        answer ? "the API server answers " + std::to_string(answer->status) : to_string(answer.error());
    back_off(why, answer ? answer->retry_after : std::chrono::seconds(0), &Reflector::watch, !answer);
}

void Reflector::back_off(const std::string& why, std::chrono::seconds retry_after, void (Reflector::*then)(),
                         bool is_unreachable)
{
    if (std::exchange(was_unreachable_, is_unreachable) && !is_unreachable)
        failures_ = 0;  // it is back: what it answers amiss now soon ends
    milliseconds delay = kBackOffMin * (1U << std::min(failures_, 7U));
    delay = std::max<milliseconds>(with_jitter(std::min(delay, is_unreachable ? kUnreachableMax : kBackOffMax)),
                                   retry_after);
    ++failures_;
    has_problem_ = true;
    user_->on_problem(resource_, why, false);
    under_way_ = loop_->after(delay, [this, then] { (this->*then)(); });
}

}  // namespace sluice::source
