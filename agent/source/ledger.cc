// SPDX-License-Identifier: Apache-2.0
#include "agent/source/ledger.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "agent/source/object_list.h"

namespace sluice::source {
namespace {

// One place in a file that gives an object. A refused object claims its name too: or a bad edit would let its double
// elsewhere take over.
struct Mention {
    int line;
    const model::ObjectKey* key;
    const DecodedObject* object;  // null when it was refused
};

std::vector<Mention> mentions(const Decoded& decoded)
{
    std::vector<Mention> result;
    for (const DecodedObject& object : decoded.objects)
        result.push_back({object.line, &object.key, &object});
    for (const RefusedObject& refused : decoded.refused)
        result.push_back({refused.line, &refused.key, nullptr});
    // Within a line, as in JSON, the order of decoding decides, which is that of the keys' places in their vector.
    std::ranges::sort(result, {},
                      [](const Mention& each) { return std::tuple(each.line, each.object == nullptr, each.key); });
    return result;
}

}  // namespace

void Ledger::keep(const model::ObjectKey& key, Entries& next)
{
    if (const auto last = entries_.find(key); last != entries_.end())
        next.emplace(key, last->second);
}

void Ledger::keep_last_good(const std::vector<FileContent>& files, Entries& next, const Claims& claimed)
{
    std::set<std::string> incomplete;
    for (const FileContent& file : files) {
        for (const RefusedObject& refused : file.decoded->refused)
            keep(refused.key, next);
        if (!file.decoded->complete)
            incomplete.insert(file.path);
    }
    // What cannot be read may have been any object that the file held before.
    for (const auto& [key, entry] : entries_) {
        if (incomplete.contains(entry.file) && !claimed.contains(key))
            keep(key, next);
    }
}

Snapshot Ledger::merge(const std::vector<FileContent>& files, std::vector<Problem> problems)
{
    Snapshot snapshot;
    snapshot.problems = std::move(problems);
    snapshot.files = files.size();
    Entries next;
    Claims claimed;
    for (const FileContent& file : files) {
        std::ranges::copy(file.decoded->problems, std::back_inserter(snapshot.problems));
        for (const Mention& mention : mentions(*file.decoded)) {
            const auto [first, is_new] = claimed.emplace(*mention.key, Place{&file.path, mention.line});
            if (mention.object == nullptr)
                continue;
            const DecodedObject& object = *mention.object;
            if (!is_new) {
                snapshot.problems.push_back({true, file.path, object.line, object.key.to_string(), "metadata.name",
                                             object.key.name,
                                             "the object is already given in " + *first->second.file + ":" +
                                                 std::to_string(first->second.line)});
                continue;
            }
            Entry entry{file.decoded, &object, file.path, 1};
            if (const auto last = entries_.find(object.key); last != entries_.end())
                entry.generation = last->second.generation + (last->second.good->spec == object.spec ? 0 : 1);
            next.emplace(object.key, std::move(entry));
        }
    }
    keep_last_good(files, next, claimed);
    entries_ = std::move(next);
    for (const auto& [key, entry] : entries_)  // ordered by kind, namespace and name, as Objects wants it
        put(snapshot.objects, entry.good->object, entry.generation);
    return snapshot;
}

}  // namespace sluice::source
