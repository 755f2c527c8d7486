// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/kube_config.h"

#include <sys/mman.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "agent/model/base64.h"

namespace sluice::source {
namespace {

constexpr const char* kAccount = "/var/run/secrets/kubernetes.io/serviceaccount/";
constexpr std::size_t kFileBytesMax = 1U << 20;

Result<std::string> read_small_file(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail(errno, "open", path);
    std::string text;
    std::copy_n(std::istreambuf_iterator<char>(file), 0, std::back_inserter(text));
    for (char c = 0; text.size() < kFileBytesMax && file.get(c);)
        text += c;
    return text;
}

std::string trimmed(std::string text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
        text.pop_back();
    return text;
}

std::string scalar(const YAML::Node& node, const char* key)
{
    const YAML::Node value = node[key];
    return value && value.IsScalar() ? value.as<std::string>() : "";
}

// The entry called `name` of a list of {name, KIND: {…}}.
Result<YAML::Node> named(const YAML::Node& root, const char* list, const char* kind, const std::string& name,
                         const std::string& path)
{
    for (const YAML::Node& each : root[list]) {
        if (scalar(each, "name") == name)
            return each[kind];
    }
    return fail(0, "kubeconfig", path + ": " + list + ": there is none called \"" + name + "\"");
}

class Loader {
public:
    explicit Loader(std::string path) : path_(std::move(path)) {}

    Result<KubeConfig> load(const YAML::Node& root)
    {
        const std::string current = scalar(root, "current-context");
        if (current.empty())
            return fail(0, "kubeconfig", path_ + ": current-context is not set");
        const auto context = named(root, "contexts", "context", current, path_);
        if (!context)
            return std::unexpected(context.error());
        const auto cluster = named(root, "clusters", "cluster", scalar(*context, "cluster"), path_);
        if (!cluster)
            return std::unexpected(cluster.error());
        const auto user = named(root, "users", "user", scalar(*context, "user"), path_);
        if (!user)
            return std::unexpected(user.error());
        config_.ns = scalar(*context, "namespace");
        config_.server = scalar(*cluster, "server");
        while (config_.server.ends_with('/'))
            config_.server.pop_back();
        if (!config_.server.starts_with("https://") && !config_.server.starts_with("http://"))
            return fail(0, "kubeconfig",
                        path_ + ": server \"" + config_.server + "\": an http or https URL is accepted");
        config_.server_name = scalar(*cluster, "tls-server-name");
        config_.verifies_server = scalar(*cluster, "insecure-skip-tls-verify") != "true";
        for (const auto& [node, key, file] : {std::tuple(*cluster, "certificate-authority", &config_.ca_file),
                                              std::tuple(*user, "client-certificate", &config_.certificate_file),
                                              std::tuple(*user, "client-key", &config_.key_file)}) {
            if (auto taken = take_file(node, key, *file); !taken)
                return std::unexpected(taken.error());
        }
        if (auto taken = take_token(*user); !taken)
            return std::unexpected(taken.error());
        return std::move(config_);
    }

private:
    [[nodiscard]] std::string beside(const std::string& file) const
    {
        return (std::filesystem::path(path_).parent_path() / file).string();  // absolute ones stay
    }

    Result<void> take_file(const YAML::Node& node, const std::string& key, std::string& file)
    {
        const std::string data = scalar(node, (key + "-data").c_str());
        if (data.empty()) {
            if (const std::string name = scalar(node, key.c_str()); !name.empty())
                file = beside(name);
            return {};
        }
        const auto bytes = model::decode_base64(data);
        if (!bytes)
            return fail(0, "kubeconfig", path_ + ": " + key + "-data is not base64");
        UniqueFd memory(memfd_create("kubeconfig", MFD_CLOEXEC));
        if (!memory.valid() ||
            ::write(memory.get(), bytes->data(), bytes->size()) != static_cast<ssize_t>(bytes->size()))
            return fail(errno, "memfd_create", key);
        file = "/proc/self/fd/" + std::to_string(memory.get());
        config_.held.push_back(std::move(memory));
        return {};
    }

    Result<void> take_token(const YAML::Node& user)
    {
        if (const std::string file = scalar(user, "tokenFile"); !file.empty())
            config_.token = KubeToken::of_file(beside(file));
        else if (const std::string token = scalar(user, "token"); !token.empty())
            config_.token = KubeToken::fixed(token);
        const YAML::Node exec = user["exec"];
        if (!exec || !exec.IsMap())
            return {};
        KubeToken::Exec program{scalar(exec, "apiVersion"), {scalar(exec, "command")}, {}};
        if (program.command.front().empty())
            return fail(0, "kubeconfig", path_ + ": users.exec.command is not set");
        for (const YAML::Node& argument : exec["args"])
            program.command.push_back(argument.as<std::string>());
        for (const YAML::Node& variable : exec["env"])
            program.environment.push_back(scalar(variable, "name") + "=" + scalar(variable, "value"));
        config_.token = KubeToken::of_program(std::move(program));
        return {};
    }

    std::string path_;
    KubeConfig config_;
};

}  // namespace

Result<KubeConfig> KubeConfig::load(const std::string& path)
{
    const auto text = read_small_file(path);
    if (!text)
        return std::unexpected(text.error());
    try {
        return Loader(path).load(YAML::Load(*text));
    } catch (const YAML::Exception& error) {
        return fail(0, "kubeconfig", path + ": " + error.what());
    }
}

Result<KubeConfig> KubeConfig::in_cluster()
{
    const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
    const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
    if (host == nullptr || port == nullptr)
        return fail(0, "in-cluster configuration", "KUBERNETES_SERVICE_HOST and _PORT are not set: not in a pod");
    const bool is_v6 = std::string_view(host).contains(':');
    KubeConfig config;
    config.server = std::string("https://") + (is_v6 ? "[" : "") + host + (is_v6 ? "]" : "") + ":" + port;
    config.ca_file = std::string(kAccount) + "ca.crt";
    config.token = KubeToken::of_file(std::string(kAccount) + "token");
    if (auto first = config.token->get(); !first)
        return std::unexpected(first.error());
    if (const auto ns = read_small_file(std::string(kAccount) + "namespace"))
        config.ns = trimmed(*ns);
    return config;
}

}  // namespace sluice::source
