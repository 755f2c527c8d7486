// SPDX-License-Identifier: Apache-2.0
// FileSource over real files in a folder of its own: what it delivers after edits, good and bad.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "agent/source/files.h"
#include "base/clock.h"
#include "tests/unit/source/folder.h"

namespace sluice::source {
namespace {

namespace fs = std::filesystem;

constexpr int kDeadlineMs = 5000;

std::string gateway_class(const std::string& name, const std::string& controller = "sluice.dev/node-gateway")
{
    return "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: " + name +
           "}\nspec: {controllerName: " + controller + "}\n";
}

std::unique_ptr<FileSource> source_of(const std::string& path)
{
    auto source = FileSource::make({path});
    EXPECT_TRUE(source.has_value());
    return source ? std::move(*source) : nullptr;
}

// Waits for a change of interest, to a deadline.
bool changes(FileSource& source)
{
    const std::uint64_t deadline = monotonic_ms() + kDeadlineMs;
    for (;;) {
        const std::uint64_t now = monotonic_ms();
        pollfd fd{source.change_fd(), POLLIN, 0};
        if (now >= deadline || ::poll(&fd, 1, static_cast<int>(deadline - now)) <= 0)
            return false;
        if (source.drain_changes())
            return true;
    }
}

bool is_quiet(FileSource& source)
{
    pollfd fd{source.change_fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 0 || !source.drain_changes();
}

std::size_t fatal(const Snapshot& snapshot)
{
    return static_cast<std::size_t>(std::ranges::count_if(snapshot.problems, &Problem::fatal));
}

TEST(FileSource, AnEditIsSeenAndCountsAsAGeneration)
{
    const Folder folder;
    folder.write("a.yaml", gateway_class("a"));
    const auto source = source_of(folder.path());
    EXPECT_EQ(source->load().objects.gateway_classes.at(0).meta.generation, 1);
    folder.write("a.yaml", "# a comment is no change\n" + gateway_class("a"));
    ASSERT_TRUE(changes(*source));
    EXPECT_EQ(source->load().objects.gateway_classes.at(0).meta.generation, 1);
    folder.write("a.yaml", gateway_class("a", "example.com/other"));
    ASSERT_TRUE(changes(*source));
    const Snapshot snapshot = source->load();
    EXPECT_EQ(snapshot.objects.gateway_classes.at(0).controller_name, "example.com/other");
    EXPECT_EQ(snapshot.objects.gateway_classes.at(0).meta.generation, 2);
}

TEST(FileSource, EqualSizedEditsInQuickSuccessionAreAllSeen)
{
    const Folder folder;
    folder.write("a.yaml", gateway_class("a", "example.com/0"));
    const auto source = source_of(folder.path());
    for (int i = 0; i < 10; ++i) {
        const std::string controller = "example.com/" + std::to_string(i);
        folder.write("a.yaml", gateway_class("a", controller));
        EXPECT_EQ(source->load().objects.gateway_classes.at(0).controller_name, controller);
    }
}

TEST(FileSource, ABadEditKeepsTheLastGoodVersionOfThatObjectAlone)
{
    const std::string broken[] = {
        gateway_class("a", "no-domain"),  // refused, its name readable
        "kind: [\n",                      // not YAML
        "kind: GatewayClass\n",           // no name to be found
        "a\xff",                          // not text
    };
    for (const std::string& text : broken) {
        SCOPED_TRACE(text);
        const Folder folder;
        folder.write("a.yaml", gateway_class("a"));
        folder.write("b.yaml", gateway_class("b"));
        const auto source = source_of(folder.path());
        EXPECT_EQ(source->load().objects.gateway_classes.size(), 2U);
        folder.write("a.yaml", text);
        folder.write("b.yaml", gateway_class("b", "example.com/new"));
        const Snapshot snapshot = source->load();
        ASSERT_EQ(snapshot.objects.gateway_classes.size(), 2U);
        EXPECT_EQ(snapshot.objects.gateway_classes[0].controller_name, "sluice.dev/node-gateway");
        EXPECT_EQ(snapshot.objects.gateway_classes[0].meta.generation, 1);
        EXPECT_EQ(snapshot.objects.gateway_classes[1].controller_name, "example.com/new");
        EXPECT_GE(fatal(snapshot), 1U);
        folder.write("a.yaml", gateway_class("a", "example.com/repaired"));
        const Snapshot repaired = source->load();
        EXPECT_EQ(repaired.objects.gateway_classes.at(0).controller_name, "example.com/repaired");
        EXPECT_EQ(repaired.objects.gateway_classes.at(0).meta.generation, 2);
        EXPECT_TRUE(repaired.problems.empty());
    }
}

TEST(FileSource, ABadEditDoesNotLetADoubleTakeOver)
{
    const Folder folder;
    folder.write("a.yaml", gateway_class("x", "example.com/first"));
    folder.write("b.yaml", gateway_class("x", "example.com/double"));
    const auto source = source_of(folder.path());
    EXPECT_EQ(source->load().objects.gateway_classes.at(0).controller_name, "example.com/first");
    folder.write("a.yaml", gateway_class("x", "no-domain"));
    EXPECT_EQ(source->load().objects.gateway_classes.at(0).controller_name, "example.com/first");
    fs::remove(folder.path() + "/a.yaml");
    EXPECT_EQ(source->load().objects.gateway_classes.at(0).controller_name, "example.com/double");
}

TEST(FileSource, ARenameOverAFileIsSeenAlsoWhenOneFileIsNamed)
{
    for (const bool named : {false, true}) {
        const Folder folder;
        folder.write("a.yaml", gateway_class("a"));
        const auto source = source_of(named ? folder.path() + "/a.yaml" : folder.path());
        EXPECT_EQ(source->load().objects.gateway_classes.size(), 1U);
        folder.write(".a.yaml.swp", gateway_class("b"));
        fs::rename(folder.path() + "/.a.yaml.swp", folder.path() + "/a.yaml");
        ASSERT_TRUE(changes(*source));
        EXPECT_EQ(source->load().objects.gateway_classes.at(0).meta.name, "b");
    }
}

TEST(FileSource, DeletedFilesAndFoldersTakeTheirObjectsAway)
{
    const Folder folder;
    fs::create_directories(folder.path() + "/deep/er");
    folder.write("a.yaml", gateway_class("a"));
    folder.write("deep/er/b.json", R"({"apiVersion":"gateway.networking.k8s.io/v1","kind":"GatewayClass",
        "metadata":{"name":"b"},"spec":{"controllerName":"example.com\/b"}})");
    const auto source = source_of(folder.path());
    EXPECT_EQ(source->load().objects.gateway_classes.size(), 2U);
    fs::remove_all(folder.path() + "/deep");
    ASSERT_TRUE(changes(*source));
    EXPECT_EQ(source->load().objects.gateway_classes.size(), 1U);
    fs::remove(folder.path() + "/a.yaml");
    ASSERT_TRUE(changes(*source));
    EXPECT_TRUE(source->load().objects.gateway_classes.empty());
}

TEST(FileSource, ANewFolderIsWatched)
{
    const Folder folder;
    const auto source = source_of(folder.path());
    EXPECT_EQ(source->load().files, 0U);
    fs::create_directory(folder.path() + "/new");
    ASSERT_TRUE(changes(*source));
    EXPECT_EQ(source->load().files, 0U);
    folder.write("new/a.yaml", gateway_class("a"));
    ASSERT_TRUE(changes(*source));
    EXPECT_EQ(source->load().objects.gateway_classes.size(), 1U);
}

TEST(FileSource, AFileBeingWrittenServesWhatItHeldUntilItIsClosed)
{
    const Folder folder;
    folder.write("a.yaml", gateway_class("a") + "---\n" + gateway_class("b"));
    const auto source = source_of(folder.path());
    EXPECT_EQ(source->load().objects.gateway_classes.size(), 2U);
    std::ofstream writer(folder.path() + "/a.yaml");  // truncates
    writer << gateway_class("a", "example.com/new") << std::flush;
    EXPECT_EQ(source->load().objects.gateway_classes.size(), 2U);
    writer << "---\n" << gateway_class("b", "example.com/new");
    writer.close();
    ASSERT_TRUE(changes(*source));
    const Snapshot snapshot = source->load();
    ASSERT_EQ(snapshot.objects.gateway_classes.size(), 2U);
    EXPECT_EQ(snapshot.objects.gateway_classes[1].controller_name, "example.com/new");
}

TEST(FileSource, TheLinkSwapOfAConfigMapMountIsSeen)
{
    const Folder folder;
    const auto publish = [&](const std::string& version, const std::string& controller) {
        fs::create_directory(folder.path() + "/.." + version);
        folder.write(".." + version + "/a.yaml", gateway_class("a", controller));
        fs::create_directory_symlink(".." + version, folder.path() + "/..data_tmp");
        fs::rename(folder.path() + "/..data_tmp", folder.path() + "/..data");
    };
    publish("1", "example.com/one");
    fs::create_symlink("..data/a.yaml", folder.path() + "/a.yaml");
    const auto source = source_of(folder.path());
    EXPECT_EQ(source->load().objects.gateway_classes.at(0).controller_name, "example.com/one");
    publish("2", "example.com/two");
    fs::remove_all(folder.path() + "/..1");
    ASSERT_TRUE(changes(*source));
    EXPECT_EQ(source->load().objects.gateway_classes.at(0).controller_name, "example.com/two");
}

TEST(FileSource, HiddenAndTemporaryFilesAreNeitherReadNorOfInterest)
{
    const Folder folder;
    const auto source = source_of(folder.path());
    EXPECT_TRUE(source->load().objects.gateway_classes.empty());
    for (const char* name : {".hidden.yaml", "a.yaml~", "#a.yaml#", ".#a.yaml", "a.yaml.swp", "4913", "notes.txt"})
        folder.write(name, gateway_class("a"));
    EXPECT_TRUE(is_quiet(*source));
    EXPECT_EQ(source->load().files, 0U);
}

TEST(FileSource, AFolderThatLinksToItselfIsReadOnce)
{
    const Folder folder;
    folder.write("a.yaml", gateway_class("a"));
    fs::create_directory_symlink(".", folder.path() + "/loop");
    fs::create_symlink("a.yaml", folder.path() + "/same.yaml");
    const Snapshot snapshot = source_of(folder.path())->load();
    EXPECT_EQ(snapshot.files, 1U);
    EXPECT_TRUE(snapshot.problems.empty());
}

TEST(FileSource, WhatIsNoRegularFileIsRefusedAndNotWaitedFor)
{
    const Folder folder;
    ASSERT_EQ(::mkfifo((folder.path() + "/a.yaml").c_str(), 0600), 0);
    fs::create_symlink("nowhere", folder.path() + "/b.yaml");
    EXPECT_EQ(fatal(read_manifests({folder.path()})), 2U);
}

TEST(FileSource, APathThatDoesNotExistIsAnError)
{
    const Folder folder;
    const auto source = FileSource::make({folder.path() + "/none"});
    ASSERT_FALSE(source.has_value());
    EXPECT_EQ(source.error().errno_value, ENOENT);
}

}  // namespace
}  // namespace sluice::source
