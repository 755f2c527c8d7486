// SPDX-License-Identifier: Apache-2.0
// Tokens that change: out of a file (projected service account tokens rotate), or of a program
// (client.authentication.k8s.io).
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "agent/source/kube/kube_config.h"

extern char** environ;

namespace sluice::source {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kFileAge = std::chrono::seconds(60);  // the kubelet rotates hours before the end
constexpr auto kMargin = std::chrono::seconds(30);   // before a token expires
constexpr auto kRefusalEvery = std::chrono::seconds(10);
constexpr std::size_t kOutputMax = 1U << 20;

std::vector<char*> pointers(std::vector<std::string>& texts)
{
    std::vector<char*> result;
    for (std::string& text : texts)
        result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

// Its standard output is `output`.
Result<pid_t> start(const KubeToken::Exec& exec, const UniqueFd& output)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output.get(), STDOUT_FILENO);
    // Signals that this thread has blocked would be blocked in the program for ever.
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::vector<std::string> arguments = exec.command;
    std::vector<std::string> environment(exec.environment);
    environment.push_back(R"(KUBERNETES_EXEC_INFO={"kind":"ExecCredential","apiVersion":")" + exec.api_version +
                          R"(","spec":{"interactive":false}})");
    for (char** each = environ; *each != nullptr; ++each)
        environment.emplace_back(*each);
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, arguments.front().c_str(), &actions, &attributes, pointers(arguments).data(),
                                     pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0)
        return fail(error, "posix_spawn", arguments.front());
    return pid;
}

// Takes what is there. False: nothing more comes, or it is too much.
bool take_output(const UniqueFd& reader, std::string& output)
{
    char part[4096];
    ssize_t count = 0;
    while (output.size() < kOutputMax && (count = ::read(reader.get(), part, sizeof part)) > 0)
        output.append(part, static_cast<std::size_t>(count));
    return count < 0 && errno == EAGAIN;
}

// What it says until it ends. A child of its own may keep the pipe open for longer: that is not waited for.
Result<std::string> read_to_end(const KubeToken::Exec& exec, pid_t pid, UniqueFd reader)
{
    // glibc 2.36 declares its own for C alone.
    const UniqueFd end(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!end.valid())
        return fail(errno, "pidfd_open", exec.command.front());
    const auto deadline = Clock::now() + exec.patience;
    std::string output;
    for (bool has_ended = false; !has_ended;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0)
            return fail(0, "kubeconfig exec",
                        exec.command.front() + " has not ended within " + std::to_string(exec.patience.count()) +
                            " ms");
        pollfd events[] = {{.fd = reader.get(), .events = POLLIN, .revents = 0},
                           {.fd = end.get(), .events = POLLIN, .revents = 0}};
        if (::poll(events, std::size(events), static_cast<int>(left)) <= 0)
            continue;
        has_ended = events[1].revents != 0;
        if (!take_output(reader, output))
            reader.reset();
    }
    return output;
}

Result<std::string> output_of(const KubeToken::Exec& exec)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return fail(errno, "pipe2", "kubeconfig exec");
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    if (::fcntl(reader.get(), F_SETFL, O_NONBLOCK) != 0)
        return fail(errno, "fcntl", "kubeconfig exec");
    const auto pid = start(exec, writer);
    if (!pid)
        return std::unexpected(pid.error());
    writer.reset();
    auto output = read_to_end(exec, *pid, std::move(reader));
    if (!output)
        ::kill(*pid, SIGKILL);
    int status = 0;
    ::waitpid(*pid, &status, 0);
    if (output && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        return fail(0, "kubeconfig exec", exec.command.front() + " failed");
    return output;
}

// RFC 3339 in UTC, as ExecCredential has it; nothing when it is not.
std::optional<std::chrono::seconds> seconds_until(const std::string& text)
{
    std::tm time{};
    if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr)
        return std::nullopt;
    return std::chrono::seconds(timegm(&time) - ::time(nullptr));
}

}  // namespace

std::shared_ptr<KubeToken> KubeToken::fixed(std::string token)
{
    auto made = std::make_shared<KubeToken>();
    made->token_ = std::move(token);
    return made;
}

std::shared_ptr<KubeToken> KubeToken::of_file(std::string path)
{
    auto made = std::make_shared<KubeToken>();
    made->file_ = std::move(path);
    made->valid_until_ = {};
    return made;
}

std::shared_ptr<KubeToken> KubeToken::of_program(Exec exec)
{
    auto made = std::make_shared<KubeToken>();
    made->exec_ = std::move(exec);
    made->valid_until_ = {};
    return made;
}

Result<std::string> KubeToken::get()
{
    const std::lock_guard lock(mutex_);
    const bool is_refused = refused_.exchange(false) && Clock::now() >= refusals_count_from_;
    if (is_refused || Clock::now() >= valid_until_) {
        const auto renewed = renew();
        if (is_refused)  // for a while answers still come to the token of before
            refusals_count_from_ = Clock::now() + kRefusalEvery;
        if (!renewed)
            return std::unexpected(renewed.error());
    }
    return token_;
}

void KubeToken::refused()
{
    if (!file_.empty() || exec_)
        refused_ = true;
}

Result<void> KubeToken::renew()
{
    if (!file_.empty()) {
        std::ifstream file(file_);
        if (!file)
            return fail(errno, "open", file_);
        file >> token_;
        valid_until_ = Clock::now() + kFileAge;
        return token_.empty() ? fail(0, "token", file_ + " is empty") : Result<void>{};
    }
    const auto output = output_of(*exec_);
    if (!output)
        return std::unexpected(output.error());
    const auto credential = nlohmann::json::parse(*output, nullptr, false);
    const auto status =
        credential.is_object() ? credential.value("status", nlohmann::json::object()) : nlohmann::json();
    if (!status.is_object() || !status.contains("token") || !status.at("token").is_string())
        return fail(0, "kubeconfig exec", exec_->command.front() + " says no status.token");
    token_ = status.at("token").get<std::string>();
    const auto stamp = status.find("expirationTimestamp");
    const auto left =
        stamp != status.end() && stamp->is_string() ? seconds_until(stamp->get<std::string>()) : std::nullopt;
    valid_until_ =
        left ? Clock::now() + std::max<std::chrono::seconds>(*left - kMargin, kMargin) : Clock::time_point::max();
    return {};
}

}  // namespace sluice::source
