// SPDX-License-Identifier: Apache-2.0
// A vector of objects that its copies share. An object that two copies have both is one and the same, at one address:
// whether something has changed is told without looking into it.
#pragma once

#include <compare>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace sluice::model {

template <class T> class SharedList {
    using Values = std::vector<std::shared_ptr<const T>>;

public:
    using value_type = T;

    class const_iterator {
    public:
        using iterator_category = std::random_access_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = const T*;
        using reference = const T&;

        const_iterator() = default;
        explicit const_iterator(typename Values::const_iterator at) : at_(at) {}
        reference operator*() const { return **at_; }
        pointer operator->() const { return at_->get(); }
        reference operator[](difference_type n) const { return *at_[n]; }
        const_iterator& operator++() { return ++at_, *this; }
        const_iterator& operator--() { return --at_, *this; }
        const_iterator operator++(int) { return const_iterator(at_++); }
        const_iterator operator--(int) { return const_iterator(at_--); }
        const_iterator& operator+=(difference_type n) { return at_ += n, *this; }
        const_iterator& operator-=(difference_type n) { return at_ -= n, *this; }
        friend const_iterator operator+(const_iterator it, difference_type n) { return it += n; }
        friend const_iterator operator+(difference_type n, const_iterator it) { return it += n; }
        friend const_iterator operator-(const_iterator it, difference_type n) { return it -= n; }
        friend difference_type operator-(const_iterator a, const_iterator b) { return a.at_ - b.at_; }
        friend bool operator==(const_iterator a, const_iterator b) { return a.at_ == b.at_; }
        friend auto operator<=>(const_iterator a, const_iterator b) { return a.at_ <=> b.at_; }

    private:
        friend SharedList;
        typename Values::const_iterator at_;
    };
    using iterator = const_iterator;

    [[nodiscard]] const_iterator begin() const { return const_iterator(values_.begin()); }
    [[nodiscard]] const_iterator end() const { return const_iterator(values_.end()); }
    [[nodiscard]] std::size_t size() const { return values_.size(); }
    [[nodiscard]] bool empty() const { return values_.empty(); }
    const T& operator[](std::size_t i) const { return *values_[i]; }
    [[nodiscard]] const T& at(std::size_t i) const { return *values_.at(i); }
    [[nodiscard]] const T& front() const { return *values_.front(); }
    [[nodiscard]] const T& back() const { return *values_.back(); }

    void reserve(std::size_t size) { values_.reserve(size); }
    void clear() { values_.clear(); }
    void push_back(T object) { values_.push_back(std::make_shared<const T>(std::move(object))); }
    void insert(const_iterator before, T object)
    {
        values_.insert(before.at_, std::make_shared<const T>(std::move(object)));
    }
    void erase(const_iterator at) { values_.erase(at.at_); }
    // Another object in the place of one.
    void replace(std::size_t i, T object) { values_[i] = std::make_shared<const T>(std::move(object)); }
    // Puts a copy in the place of one, to be changed before this list is copied. For tests and benchmarks.
    [[nodiscard]] T& edit(std::size_t i)
    {
        auto copy = std::make_shared<T>(*values_[i]);
        values_[i] = copy;
        return *copy;
    }

    // True: the same objects, not only equal ones.
    [[nodiscard]] bool is_same(const SharedList& other) const { return values_ == other.values_; }

private:
    Values values_;
};

}  // namespace sluice::model
