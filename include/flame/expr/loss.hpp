// Losses beyond composite.hpp's mse and cross_entropy, and those two in all their forms.
//
// Each is a mean over all elements, unless a reduction is said: l1<reduction::sum>(a, b). Losses of 16-bit
// tensors compute in f32, since they are fused.
#pragma once
#include <flame/expr/activation.hpp>

namespace flame {

enum class reduction : u8 { mean, sum, none };

namespace detail {

template <reduction R, operand_type A> constexpr auto reduced_loss(const A& terms) {
  if constexpr (R == reduction::mean)
    return mean(terms);
  else if constexpr (R == reduction::sum)
    return sum(terms);
  else
    return terms;
}

template <class A, class B>
inline constexpr bool comparable =
    nested<shape_of<A>, shape_of<B>>&& std::is_same_v<element_of<shape_of<A>>, element_of<shape_of<B>>>&&
        is_floating(dtype_of<element_of<shape_of<A>>>);

// One and a half of an operand's element type.
template <class A> using one_of = structural_of<element_of<shape_of<A>>, bits_of(1.0)>;
template <class A> using half_of = structural_of<element_of<shape_of<A>>, bits_of(0.5)>;
template <class A> using zero_of = structural_of<element_of<shape_of<A>>, 0>;

}  // namespace detail

#define FLAME_LOSS_REFUSALS(call, A, B)                                                   \
  static_assert(is_floating(dtype_of<element_of<shape_of<A>>>),                           \
                call ": the operand must have a floating element type");                  \
  static_assert(std::is_same_v<element_of<shape_of<A>>, element_of<shape_of<B>>>,         \
                call ": the element types differ; cast one operand, as in cast<f32>(b)"); \
  static_assert(detail::nested<shape_of<A>, shape_of<B>>,                                 \
                call ": the axes of one operand must contain the axes of the other")

// l1(a, b) = mean |a - b|; the derivative where they are equal is 0.
template <reduction R = reduction::mean, operand_type A, operand_type B>
constexpr auto l1(const A& a, const B& b) {
  FLAME_LOSS_REFUSALS("flame::l1(a, b)", A, B);
  if constexpr (detail::comparable<A, B>) return detail::reduced_loss<R>(abs(a - b));
}

// huber(a, b) = mean of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), d = a - b (Huber 1964).
template <reduction R = reduction::mean, operand_type A, operand_type B>
constexpr auto huber(const A& a, const B& b, double delta = 1) {
  FLAME_LOSS_REFUSALS("flame::huber(a, b, delta)", A, B);
  if constexpr (detail::comparable<A, B>) {
    auto d = a - b;
    auto far = abs(d);
    return detail::reduced_loss<R>(
        where(far <= delta, d * d * detail::half_of<A>{}, (far - delta * 0.5) * delta));
  }
}

// smooth_l1(a, b) = mean of d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, d = a - b (Girshick 2015).
// beta must be positive.
template <reduction R = reduction::mean, operand_type A, operand_type B>
constexpr auto smooth_l1(const A& a, const B& b, double beta = 1) {
  FLAME_LOSS_REFUSALS("flame::smooth_l1(a, b, beta)", A, B);
  if constexpr (detail::comparable<A, B>) {
    auto d = a - b;
    auto far = abs(d);
    return detail::reduced_loss<R>(where(far < beta, d * d * (0.5 / beta), far - beta * 0.5));
  }
}

// mse<reduction>(a, b) of (a - b)^2
template <reduction R, operand_type A, operand_type B> constexpr auto mse(const A& a, const B& b) {
  FLAME_LOSS_REFUSALS("flame::mse<reduction>(a, b)", A, B);
  if constexpr (detail::comparable<A, B>) {
    return detail::reduced_loss<R>(detail::square(a - b));
  }
}

namespace detail {
// max(log p, -100), whose derivative at 0 is 0: PyTorch's is as if p were 1e-12 there.
template <operand_type P> constexpr auto bounded_log(const P& p) {
  auto some = p > zero_of<P>{};
  auto low = structural_of<element_of<shape_of<P>>, bits_of(-100.0)>{};
  return where(some, maximum(log(where(some, p, one_of<P>{})), low), low);
}
}  // namespace detail

// bce(p, t) = mean of -(t log p + (1 - t) log(1 - p)), logarithms at least -100 as in PyTorch; p in [0, 1],
// and where p is 0 or 1 its derivative leaves out the logarithm of 0. bce_with_logits needs no such bounds.
template <reduction R = reduction::mean, operand_type P, operand_type T>
constexpr auto bce(const P& p, const T& target) {
  FLAME_LOSS_REFUSALS("flame::bce(p, target)", P, T);
  if constexpr (detail::comparable<P, T>) {
    auto other = detail::one_of<P>{} - p;
    return detail::reduced_loss<R>(
        -(target * detail::bounded_log(p) + (detail::one_of<T>{} - target) * detail::bounded_log(other)));
  }
}

// bce_with_logits(x, t) = mean of max(x, 0) - x t + log(1 + exp(-|x|)), which is bce(sigmoid x, t).
template <reduction R = reduction::mean, operand_type A, operand_type T>
constexpr auto bce_with_logits(const A& x, const T& target) {
  FLAME_LOSS_REFUSALS("flame::bce_with_logits(x, target)", A, T);
  if constexpr (detail::comparable<A, T>) return detail::reduced_loss<R>(softplus(x) - x * target);
}
// The same with terms of t weighted: mean of weight t softplus(-x) + (1 - t) softplus x.
template <reduction R = reduction::mean, operand_type A, operand_type T, operand_type W>
constexpr auto bce_with_logits(const A& x, const T& target, const W& positive_weight) {
  FLAME_LOSS_REFUSALS("flame::bce_with_logits(x, target, positive weight)", A, T);
  static_assert(within(shape_of<W>::value(), shape_of<T>::value()),
                "flame::bce_with_logits(x, target, positive weight): the target must have the weight's axes");
  if constexpr (detail::comparable<A, T>)
    return detail::reduced_loss<R>(target * positive_weight * softplus(-x) +
                                   (detail::one_of<T>{} - target) * softplus(x));
}

// kl_div(x, t) = mean of t (log t - x), 0 where t is 0, x being the logarithm of a probability (Kullback and
// Leibler 1951). PyTorch's batchmean is kl_div<reduction::sum>(x, t) / extent<f32>(batch, x).
template <reduction R = reduction::mean, operand_type A, operand_type T>
constexpr auto kl_div(const A& x, const T& target) {
  FLAME_LOSS_REFUSALS("flame::kl_div(x, target)", A, T);
  if constexpr (detail::comparable<A, T>) {
    auto some = target > detail::zero_of<T>{};
    auto entropy = where(some, target * log(where(some, target, detail::one_of<T>{})), detail::zero_of<T>{});
    return detail::reduced_loss<R>(entropy - target * x);
  }
}
// The same where the target is a logarithm too: mean of exp(t) (t - x).
template <reduction R = reduction::mean, operand_type A, operand_type T>
constexpr auto kl_div_of_log(const A& x, const T& target) {
  FLAME_LOSS_REFUSALS("flame::kl_div_of_log(x, target)", A, T);
  if constexpr (detail::comparable<A, T>) return detail::reduced_loss<R>(exp(target) * (target - x));
}

// Of losses over classes.
struct class_options {
  i64 ignore_index = -100;     // labels that count for nothing
  double label_smoothing = 0;  // what a label gives to all classes alike (Szegedy et al. 2016)
};

namespace detail {

template <class A, class L>
inline constexpr bool classes_fit =
    class_axis<shape_of<A>, shape_of<L>>::one&& is_integer(dtype_of<element_of<shape_of<L>>>) &&
    is_floating(dtype_of<element_of<shape_of<A>>>);

// Where labels count.
template <operand_type L> constexpr auto labels_kept(const L& label, i64 ignored) {
  return cast<i64>(label) != ignored;
}
// The element of x along the classes at the label; 0 where no class has it.
template <class Classes, operand_type A, operand_type L> constexpr auto at_label(const A& x, const L& label) {
  auto hit = emit<op::equal>(label, iota<element_of<shape_of<L>>>(Classes{}, label));
  return sum(where(hit, x, zero_of<A>{}), Classes{});
}
// A number as a tensor, where a formula asks what it is.
template <class Element, operand_type Like> constexpr auto number_beside(double v, const Like& like) {
  if constexpr (is_sym<Like>) {
    return sym<Element>{{}, like.g, like.g->constant(v, dtype_of<Element>)};
  } else {
    number<Element> n;
    n.value = v;
    return n;
  }
}
// Labels, each in [0, classes) or the ignored one.
template <indexed_by By, class Classes, operand_type A, operand_type L>
constexpr auto checked_labels(const A& x, const L& label, const class_options& o) {
  return in_range<By, Classes>(label, number_beside<i64>(static_cast<double>(o.ignore_index), x));
}
// Terms of labels that count: reduced, by their weights' sum where it is a mean.
template <reduction R, operand_type K, operand_type A, operand_type W>
constexpr auto reduced_classes(const K& kept, const A& terms, const W& weights) {
  auto counted = where(kept, terms, zero_of<A>{});
  if constexpr (R == reduction::mean && std::is_same_v<W, one_of<A>>)
    return sum(counted) / sum(cast<element_of<shape_of<A>>>(kept));
  else if constexpr (R == reduction::mean)
    return sum(counted) / sum(where(kept, weights, zero_of<A>{}));
  else
    return reduced_loss<R>(counted);
}

}  // namespace detail

#define FLAME_CLASS_REFUSALS(call, A, L)                                         \
  static_assert(detail::class_axis<shape_of<A>, shape_of<L>>::one,               \
                call ": label must have the axes of the first operand but one"); \
  static_assert(is_integer(dtype_of<element_of<shape_of<L>>>),                   \
                call ": label must have an integer element type");               \
  static_assert(is_floating(dtype_of<element_of<shape_of<A>>>),                  \
                call ": the operand must have a floating element type")

// nll(log_p, label) = mean of -log_p[label] over the labels that count; of none NaN, as in PyTorch. The axis
// of the classes is the one that the labels lack; labels lie in [0, classes) or are the ignored one, others
// are an error.
template <reduction R = reduction::mean, operand_type A, operand_type L>
constexpr auto nll(const A& log_p, const L& label, class_options o = {}) {
  FLAME_CLASS_REFUSALS("flame::nll(log_p, label, options)", A, L);
  if constexpr (detail::classes_fit<A, L>) {
    using classes = typename detail::class_axis<shape_of<A>, shape_of<L>>::type;
    auto checked = detail::checked_labels<indexed_by::nll, classes>(log_p, label, o);
    auto kept = detail::labels_kept(checked, o.ignore_index);
    return detail::reduced_classes<R>(kept, -detail::at_label<classes>(log_p, checked), detail::one_of<A>{});
  }
}

namespace detail {
template <reduction R, operand_type A, operand_type L, operand_type W, operand_type C>
constexpr auto weighed_entropy(const A& logits, const L& label, const class_options& o, const W& weights,
                               const C& own_weight) {
  using classes = typename class_axis<shape_of<A>, shape_of<L>>::type;
  using E = element_of<shape_of<A>>;
  auto kept = labels_kept(label, o.ignore_index);
  auto all = logsumexp(logits, classes{});
  auto smoothing = number_beside<E>(o.label_smoothing, logits);
  // Not a term times 0: a class that a mask excludes, of logit -infinity, counts only where labels are
  // smoothed.
  auto others = where(zero_of<A>{} < smoothing,
                      sum((all - logits) * weights, classes{}) * smoothing / extent<E>(classes{}, logits),
                      zero_of<A>{});
  return reduced_classes<R>(
      kept, (all - at_label<classes>(logits, label)) * own_weight * (one_of<A>{} - smoothing) + others,
      own_weight);
}
}  // namespace detail

// cross_entropy(logits, label, {.ignore_index, .label_smoothing}) = mean over the labels that count of
// (1 - s) (L - logits[label]) + s mean over the classes of (L - logits), L = logsumexp(logits), s the
// smoothing; of no labels NaN, as in PyTorch. Labels lie in [0, classes) or are the ignored one, others are
// an error.
template <reduction R = reduction::mean, operand_type A, operand_type L>
constexpr auto cross_entropy(const A& logits, const L& label, class_options o) {
  FLAME_CLASS_REFUSALS("flame::cross_entropy(logits, label, options)", A, L);
  if constexpr (detail::classes_fit<A, L>) {
    using classes = typename detail::class_axis<shape_of<A>, shape_of<L>>::type;
    auto checked = detail::checked_labels<indexed_by::cross_entropy, classes>(logits, label, o);
    return detail::weighed_entropy<R>(logits, checked, o, detail::one_of<A>{}, detail::one_of<A>{});
  }
}
// The same with a weight for each class: terms count as their labels' weights do, the smoothed ones as each
// class's.
template <reduction R = reduction::mean, operand_type A, operand_type L, operand_type W>
constexpr auto cross_entropy(const A& logits, const L& label, class_options o, const W& weight) {
  FLAME_CLASS_REFUSALS("flame::cross_entropy(logits, label, options, weight)", A, L);
  if constexpr (detail::classes_fit<A, L>) {
    using classes = typename detail::class_axis<shape_of<A>, shape_of<L>>::type;
    constexpr bool fits = std::is_same_v<shape_of<W>, shape<element_of<shape_of<A>>, classes>>;
    static_assert(fits,
                  "flame::cross_entropy(logits, label, options, weight): the weight's axis is the classes'");
    if constexpr (fits) {
      auto checked = detail::checked_labels<indexed_by::cross_entropy, classes>(logits, label, o);
      return detail::weighed_entropy<R>(logits, checked, o, weight,
                                        detail::at_label<classes>(weight, checked));
    }
  }
}

}  // namespace flame
