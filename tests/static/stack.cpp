#include <flame/expr/attention.hpp>
#include <flame/expr/random.hpp>
#include <flame/expr/gradient.hpp>
#include <flame/nn/place.hpp>
using namespace flame; using namespace flame::literals;
inline constexpr struct batch : dim<> {} batch; inline constexpr struct feature : dim<> {} feature; inline constexpr struct hidden : dim<> {} hidden;
inline constexpr struct rank_ : dim<> {} rank_; inline constexpr struct context : dim<> {} context;
struct none {};
template<class P> struct block {
  param<P,"w1",none,hidden,feature> w1; param<P,"w2",none,feature,hidden> w2; param<P,"wc",none,hidden,context> wc;
  param<P,"a",none,rank_,feature> a; param<P,"b",none,hidden,rank_> b;
  constexpr auto operator()(auto h, auto c, auto k) const {
    auto u = matmul(h, w1, feature) + matmul(c, wc, context) + matmul(matmul(h, a, feature), b, rank_);
    auto v = dropout(silu(layer_norm(u, 1e-5, hidden)), 0.1, k);
    return h + matmul(v, w2, hidden);
  }
};
using B = block<root<symbols<>>>;
inline constexpr struct x_ : input<f32,batch,feature>{} x_;
inline constexpr struct c_ : input<f32,batch,context>{} c_;
inline constexpr struct k_ : input<flame::key>{} k_;
struct net { constexpr auto operator()(auto x, auto c, auto k) const { auto h = repeat<path<"blocks">>(B{}, carry(x), c, keyed(k)); return mean(h*h); } };
constexpr const function_info* F = function_of<net, shape<f32,struct batch,struct feature>, shape<f32,struct batch,struct context>, shape<flame::key>>;
static_assert(F->leaf_count == 8);
constexpr mask lora() { mask m; for(int i=0;i<F->leaf_count;++i){ text n=F->leaves[i]->name; if(n=="blocks.a"||n=="blocks.b"||i==1) m.add(i);} return m; }
constexpr mask one() { mask m; m.add(0); return m; }
using D = derive<F, lora(), one(), mask{}, keep::cut>;
constexpr const function_info* bw = D::call.backward;
static_assert(bw->output_count==3);
int main(){ return bw->word_count + D::call.forward->word_count; }
