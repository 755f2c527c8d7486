// SPDX-License-Identifier: Apache-2.0
#include "agent/source/object_list.h"

#include <gtest/gtest.h>

namespace sluice::source {
namespace {

model::Service service(const std::string& ns, const std::string& name, const std::string& type = "ClusterIP")
{
    model::Service object;
    object.meta.ns = ns;
    object.meta.name = name;
    object.type = type;
    return object;
}

std::string names(const model::Objects& objects)
{
    std::string text;
    for (const model::Service& each : objects.services)
        text += each.meta.ns + "/" + each.meta.name + " ";
    return text;
}

TEST(ObjectList, StaysSortedWhateverOrderObjectsComeIn)
{
    model::Objects objects;
    for (const auto& [ns, name] : {std::pair{"b", "a"}, {"a", "z"}, {"c", "a"}, {"a", "a"}, {"b", "b"}})
        put(objects, service(ns, name), 1);
    EXPECT_EQ(names(objects), "a/a a/z b/a b/b c/a ");
}

TEST(ObjectList, OneOfTheSameNameIsReplaced)
{
    model::Objects objects;
    put(objects, service("a", "x"), 1);
    put(objects, service("a", "y"), 1);
    put(objects, service("a", "x", "ExternalName"), 7);
    EXPECT_EQ(names(objects), "a/x a/y ");
    EXPECT_EQ(objects.services[0].type, "ExternalName");
    EXPECT_EQ(objects.services[0].meta.generation, 7);
}

TEST(ObjectList, RemovesWhatIsNamedAndNothingElse)
{
    model::Objects objects;
    put(objects, service("a", "x"), 1);
    model::ConfigMap map;
    map.meta = service("a", "x").meta;
    put(objects, map, 1);
    remove(objects, {"Service", "a", "y"});
    remove(objects, {"Gateway", "a", "x"});
    EXPECT_EQ(names(objects), "a/x ");
    remove(objects, {"Service", "a", "x"});
    EXPECT_EQ(names(objects), "");
    EXPECT_EQ(objects.config_maps.size(), 1U);
}

}  // namespace
}  // namespace sluice::source
