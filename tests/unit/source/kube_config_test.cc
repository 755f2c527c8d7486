// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kube/kube_config.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sluice::source {
namespace {

class KubeConfigTest : public testing::Test {
protected:
    KubeConfigTest()
    {
        std::string folder = (std::filesystem::temp_directory_path() / "kubeconfig.XXXXXX").string();
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
    }
    ~KubeConfigTest() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string path(const std::string& name = "config") const { return folder_ + "/" + name; }
    void write(const std::string& text, const std::string& name = "config") const { std::ofstream(path(name)) << text; }
    // One cluster, one user, one context that names both.
    [[nodiscard]] Result<KubeConfig> load(const std::string& cluster, const std::string& user,
                                          const std::string& context = "cluster: c, user: u, namespace: n") const
    {
        write("current-context: x\ncontexts: [{name: x, context: {" + context + "}}]\nclusters: [{name: c, cluster: {" +
              cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n");
        return KubeConfig::load(path());
    }
    static std::string content(const std::string& file)
    {
        std::ifstream in(file);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    std::string folder_;
};

TEST_F(KubeConfigTest, FilesStandBesideItOrAreInIt)
{
    const auto files = load("server: 'https://a:1/', certificate-authority: ca.crt, tls-server-name: b",
                            "client-certificate: /abs/me.crt, client-key: me.key");
    ASSERT_TRUE(files) << to_string(files.error());
    EXPECT_EQ(files->server, "https://a:1");
    EXPECT_EQ(files->server_name, "b");
    EXPECT_EQ(files->ns, "n");
    EXPECT_EQ(files->ca_file, path("ca.crt"));
    EXPECT_EQ(files->certificate_file, "/abs/me.crt");
    EXPECT_EQ(files->key_file, path("me.key"));
    EXPECT_TRUE(files->verifies_server);
    const auto data = load("server: 'https://a', certificate-authority-data: Y2E=, insecure-skip-tls-verify: true",
                           "client-key-data: a2V5");
    ASSERT_TRUE(data) << to_string(data.error());
    EXPECT_EQ(content(data->ca_file), "ca");
    EXPECT_EQ(content(data->key_file), "key");
    EXPECT_FALSE(data->verifies_server);
}

TEST_F(KubeConfigTest, WhatCannotBeUsedIsNamed)
{
    const struct {
        const char* cluster;
        const char* user;
        const char* context;
        const char* wanted;
    } rows[] = {
        {"server: 'a:1'", "", "cluster: c, user: u", "server \"a:1\": an http or https URL is accepted"},
        {"", "", "cluster: c, user: u", "server \"\""},
        {"server: 'https://a'", "", "cluster: z, user: u", "clusters: there is none called \"z\""},
        {"server: 'https://a'", "", "cluster: c, user: z", "users: there is none called \"z\""},
        {"server: 'https://a', certificate-authority-data: '%'", "", "cluster: c, user: u",
         "certificate-authority-data is not base64"},
        {"server: 'https://a'", "exec: {args: [x]}", "cluster: c, user: u", "users.exec.command is not set"},
        {"server: [", "", "cluster: c, user: u", "yaml-cpp"},
    };
    for (const auto& row : rows) {
        const auto config = load(row.cluster, row.user, row.context);
        ASSERT_FALSE(config) << row.wanted;
        EXPECT_NE(to_string(config.error()).find(row.wanted), std::string::npos) << to_string(config.error());
        EXPECT_NE(to_string(config.error()).find(path()), std::string::npos);
    }
    EXPECT_FALSE(KubeConfig::load(path("absent")));
    write("clusters: []");
    EXPECT_NE(to_string(KubeConfig::load(path()).error()).find("current-context is not set"), std::string::npos);
}

TEST_F(KubeConfigTest, ATokenIsFixedOrOfAFileOrOfAProgram)
{
    const auto fixed = load("server: 'https://a'", "token: secret");
    ASSERT_TRUE(fixed);
    EXPECT_EQ(fixed->token->get(), "secret");
    write("from-file\n", "token");
    const auto file = load("server: 'https://a'", "token: unused, tokenFile: token");
    ASSERT_TRUE(file);
    EXPECT_EQ(file->token->get(), "from-file");
    const auto program = load("server: 'https://a'",
                              "exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, args: [-c, 'echo "
                              "\"{\\\"status\\\": {\\\"token\\\": \\\"$WHO\\\"}}\"'], env: [{name: WHO, value: me}]}");
    ASSERT_TRUE(program) << to_string(program.error());
    const auto said = program->token->get();
    ASSERT_TRUE(said) << to_string(said.error());
    EXPECT_EQ(*said, "me");
    const auto broken = load("server: 'https://a'", "exec: {command: /bin/false}");
    ASSERT_TRUE(broken);
    EXPECT_FALSE(broken->token->get());
    const auto none = load("server: 'https://a'", "tokenFile: absent");
    ASSERT_TRUE(none);
    EXPECT_FALSE(none->token->get());
}

// Says this token.
KubeToken::Exec saying(const std::string& token, const std::string& before = "")
{
    return {.api_version = "client.authentication.k8s.io/v1",
            .command = {"/bin/sh", "-c", before + "echo \"{\\\"status\\\": {\\\"token\\\": \\\"" + token + "\\\"}}\""},
            .environment = {}};
}

TEST(KubeToken, AProgramThatNeverEndsIsAnError)
{
    const auto token = KubeToken::of_program({.api_version = "client.authentication.k8s.io/v1",
                                              .command = {"sleep", "60"},
                                              .environment = {},
                                              .patience = std::chrono::milliseconds(100)});
    const auto said = token->get();
    ASSERT_FALSE(said);
    EXPECT_EQ(to_string(said.error()), "kubeconfig exec sleep has not ended within 100 ms");
}

TEST(KubeToken, AProgramsChildrenAreNotWaitedFor)
{
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reader(ends[0]);
    const UniqueFd writer(ends[1]);  // the child reads until this is closed, and keeps its standard output until then
    ASSERT_EQ(::fcntl(reader.get(), F_SETFD, 0), 0);
    const auto said =
        KubeToken::of_program(saying("t", "cat <&" + std::to_string(reader.get()) + " 2>/dev/null & "))->get();
    ASSERT_TRUE(said) << to_string(said.error());
    EXPECT_EQ(*said, "t");
}

TEST(KubeToken, AProgramHasNoSignalBlocked)
{
    sigset_t ours;
    sigset_t before;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &ours, &before), 0);
    const auto said = KubeToken::of_program(saying("$(grep SigBlk /proc/self/status | tr -dc 0-9a-f)"))->get();
    ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
    ASSERT_TRUE(said) << to_string(said.error());
    EXPECT_EQ(said->find_first_not_of('0'), said->npos) << *said;
}

TEST(KubeToken, OneThatIsRefusedIsAskedForAgainOnceAtMost)
{
    const auto program = KubeToken::of_program(saying("$$"));
    const auto first = program->get();
    ASSERT_TRUE(first) << to_string(first.error());
    EXPECT_EQ(program->get(), *first);
    program->refused();
    const auto second = program->get();
    ASSERT_TRUE(second) << to_string(second.error());
    EXPECT_NE(*second, *first);
    program->refused();
    EXPECT_EQ(program->get(), *second);
    const auto fixed = KubeToken::fixed("secret");
    fixed->refused();
    EXPECT_EQ(fixed->get(), "secret");
}

}  // namespace
}  // namespace sluice::source
