// SPDX-License-Identifier: Apache-2.0
#include "agent/source/files.h"

#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <map>

#include "agent/source/decode.h"
#include "agent/source/ledger.h"
#include "agent/source/walk.h"
#include "agent/source/watch.h"

namespace sluice::source {
namespace {

// A file whose time stamp is younger than this when it is read may change again without its stamp changing.
constexpr std::int64_t kStampTickNs = 50'000'000;
constexpr int kReadsMax = 3;  // of a folder that changes while it is read

std::int64_t ns_of(const timespec& time) { return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec; }

bool same_file(const struct stat& a, const struct stat& b)
{
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
           ns_of(a.st_mtim) == ns_of(b.st_mtim) && ns_of(a.st_ctim) == ns_of(b.st_ctim);
}

struct CachedFile {
    std::shared_ptr<const Decoded> decoded;
    struct stat status{};
    bool settled = false;  // equal status means equal text
};

Decoded unreadable(const std::string& path, const Error& error)
{
    Decoded decoded;
    decoded.complete = false;
    std::string message = to_string(Error{error.errno_value, error.op, ""});
    if (error.errno_value == EFBIG)
        message = "the file has more than " + std::to_string(kManifestBytesMax) + " bytes";
    else if (error.errno_value == EINVAL)
        message = "not a regular file";
    decoded.problems.push_back({true, path, 0, "", "", "", std::move(message)});
    return decoded;
}

// None for a file that is gone.
std::optional<CachedFile> read_and_decode(const std::string& path)
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    CachedFile file;
    const auto text = read_file(path);
    if (!text && text.error().errno_value == ENOENT)
        return std::nullopt;
    if (!text) {
        file.decoded = std::make_shared<const Decoded>(unreadable(path, text.error()));
        return file;
    }
    file.status = text->status;
    file.settled = ns_of(now) - ns_of(text->status.st_ctim) > kStampTickNs;
    file.decoded = std::make_shared<const Decoded>(decode(text->text, path));
    return file;
}

}  // namespace

std::string to_string(const Problem& problem)
{
    std::string text = problem.file;
    if (problem.line > 0)
        text += ":" + std::to_string(problem.line);
    for (const std::string* part : {&problem.object, &problem.field}) {
        if (!part->empty())
            text += ": " + *part;
    }
    if (!problem.value.empty())
        text += ": \"" + problem.value + "\"";
    return text + ": " + problem.message;
}

Snapshot read_manifests(const std::vector<std::string>& paths)
{
    Walk found = walk(paths);
    std::vector<FileContent> files;
    for (const std::string& path : found.files) {
        if (auto file = read_and_decode(path))
            files.push_back({path, file->decoded});
    }
    return Ledger().merge(files, std::move(found.problems));
}

Snapshot read_text(std::string_view text, const std::string& name)
{
    return Ledger().merge({{name, std::make_shared<const Decoded>(decode(text, name))}}, {});
}

struct FileSource::State {
    std::vector<std::string> paths;
    Watch watch;
    Ledger ledger;
    std::map<std::string, CachedFile> cache;

    // What `path` holds; its last content while somebody is writing it.
    std::shared_ptr<const Decoded> content_of(const std::string& path)
    {
        const auto cached = cache.find(path);
        if (cached != cache.end() && watch.is_being_written(path))
            return cached->second.decoded;
        struct stat status{};
        if (cached != cache.end() && cached->second.settled && ::stat(path.c_str(), &status) == 0 &&
            same_file(status, cached->second.status))
            return cached->second.decoded;
        auto file = read_and_decode(path);
        if (!file)
            return nullptr;
        // A write that began after the look above shows in the events that the kernel queued meanwhile.
        changed = watch.drain() || changed;
        if (cached != cache.end() && watch.is_being_written(path))
            return cached->second.decoded;
        return cache.insert_or_assign(path, std::move(*file)).first->second.decoded;
    }

    // Watches, then reads, so that no change falls between.
    void read(std::vector<FileContent>& files, std::vector<Problem>& problems)
    {
        Walk found = walk(paths);
        if (auto watched = watch.set_folders(found.folders); !watched)
            found.problems.push_back({true, watched.error().subject, 0, "", "", "", to_string(watched.error())});
        changed = false;
        std::map<std::string, CachedFile> current;
        files.clear();
        for (const std::string& path : found.files) {
            auto decoded = content_of(path);
            if (!decoded)
                continue;
            files.push_back({path, std::move(decoded)});
            current.insert(cache.extract(path));
        }
        cache = std::move(current);
        problems = std::move(found.problems);
        changed = watch.drain() || changed;
    }

    bool changed = false;  // in the course of read()
};

FileSource::FileSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
FileSource::~FileSource() = default;

Result<std::unique_ptr<FileSource>> FileSource::make(std::vector<std::string> paths)
{
    std::set<std::string> named;
    for (const std::string& path : paths) {
        struct stat status{};
        if (::stat(path.c_str(), &status) != 0)
            return fail(errno, "stat", path);
        if (!S_ISDIR(status.st_mode))
            named.insert(path);
    }
    auto watch = Watch::make(named);
    if (!watch)
        return std::unexpected(watch.error());
    if (auto watched = watch->set_folders(walk(paths).folders); !watched)
        return std::unexpected(watched.error());
    return std::unique_ptr<FileSource>(
        new FileSource(std::make_unique<State>(State{std::move(paths), std::move(*watch), {}, {}})));
}

int FileSource::change_fd() const { return state_->watch.fd(); }

bool FileSource::drain_changes() { return state_->watch.drain(); }

void FileSource::update(Snapshot& snapshot)
{
    std::vector<FileContent> files;
    std::vector<Problem> problems;
    // What was swapped while it was read may mix old and new: read it again, a few times.
    for (int reads = 0; reads < kReadsMax; ++reads) {
        state_->read(files, problems);
        if (!state_->changed)
            break;
    }
    if (state_->changed)
        state_->watch.poke();
    snapshot = state_->ledger.merge(files, std::move(problems));
}

}  // namespace sluice::source
