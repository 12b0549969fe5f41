"""Where the polynomials of include/flame/run/host/math_*.hpp come from: minimax fits by Remez' exchange.

Run it (needs mpmath) and it prints every table as C++ hexadecimal constants with the error of the fit, each
coefficient rounded to the type before the next ones are fitted. The error is of the exact polynomial; rounding
in its evaluation comes on top and is measured by math.cpp.
"""
import sys

from mpmath import mp, mpf, cos, erf, erfc, exp, expm1, ln, log, log1p, lu_solve, matrix, pi, sin, tanh

mp.prec = 240


def rounded(x, bits):
    with mp.workprec(bits):
        return +x


def remez(target, weight, basis, low, high, points=1200):
    """Coefficients c minimising max |weight (target - sum c_j basis_j)| on [low, high], and that maximum."""
    n = len(basis)
    grid = [(low + high) / 2 + (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * points)) for i in range(points)]
    grid.reverse()
    t = [target(x) for x in grid]
    w = [weight(x) for x in grid]
    b = [[f(x) for f in basis] for x in grid]
    chosen = [round((points - 1) * (1 - float(cos(pi * i / n))) / 2) for i in range(n + 1)]
    previous = None
    for _ in range(60):
        a = matrix(n + 1, n + 1)
        r = matrix(n + 1, 1)
        for row, k in enumerate(chosen):
            for j in range(n):
                a[row, j] = b[k][j]
            a[row, n] = (-1) ** row / w[k]
            r[row] = t[k]
        c = lu_solve(a, r)
        error = [w[k] * (t[k] - sum(c[j] * b[k][j] for j in range(n))) for k in range(points)]
        extremes = []  # the largest error of each run of one sign
        for k in range(points):
            if extremes and (error[extremes[-1]] > 0) == (error[k] > 0):
                if abs(error[k]) > abs(error[extremes[-1]]):
                    extremes[-1] = k
            else:
                extremes.append(k)
        while len(extremes) > n + 1:
            extremes.pop(0 if abs(error[extremes[0]]) < abs(error[extremes[-1]]) else -1)
        worst = max(abs(e) for e in error)
        if len(extremes) < n + 1 or extremes == chosen or (previous and abs(worst - previous) < worst * mpf(10) ** -8):
            break
        previous = worst
        chosen = extremes
    return [c[j] for j in range(n)], worst


def fit(name, target, weight, basis, low, high, bits):
    """Prints the better of two roundings: all at once, and one by one, the rest fitted again after each."""
    low, high = mpf(low), mpf(high)
    grid = [low + (high - low) * i / 1999 for i in range(1, 1999)]
    known = [(target(x), weight(x), [f(x) for f in basis]) for x in grid]

    def error(c):
        return max(abs(w * (t - sum(a * b for a, b in zip(c, f)))) for t, w, f in known)

    once = [rounded(c, bits) for c in remez(target, weight, basis, low, high, 400)[0]]
    stepwise = []
    for j in range(len(basis)):
        rest = lambda x: target(x) - sum(c * f(x) for c, f in zip(stepwise, basis))
        stepwise.append(rounded(remez(rest, weight, basis[j:], low, high, 400)[0][0], bits))
    best = min(once, stepwise, key=error)
    text = ", ".join(float(c).hex().replace("0000000p", "p").replace(".000000p", "p") + ("f" if bits == 24 else "") for c in best)
    print(f"// {name}: 2^{float(log(error(best), 2)):.1f}\n{text}\n", flush=True)


def powers(first, count, step=1):
    return [(lambda e: lambda x: x ** e)(first + step * j) for j in range(count)]


half_ln2 = ln(2) / 2 * (1 + mpf(2) ** -10)
tables = {}


def table(f):
    tables[f.__name__] = f
    return f


@table
def exp_tables():  # (e^r - 1 - r) / r^2
    fit("exp f32", lambda r: expm1(r) - r, lambda r: 1 / exp(r), powers(2, 5), -half_ln2, half_ln2, 24)
    fit("exp f64", lambda r: expm1(r) - r, lambda r: 1 / exp(r), powers(2, 10), -half_ln2, half_ln2, 53)


@table
def log_tables():
    # f32: log(1 + f) = f - f^2 / 2 + f^3 P(f)
    fit("log f32", lambda f: log1p(f) - f + f * f / 2, lambda f: 1 / log1p(f), powers(3, 8), "-0.25", "0.5", 24)
    # f64: log(1 + f) = 2 s + s z P(z), z = s^2, s = f / (2 + f); for f32's pow the same, shorter
    two_atanh = lambda z: log((1 + z**0.5) / (1 - z**0.5)) / z**0.5
    fit("log f64", lambda z: two_atanh(z) - 2, lambda z: mpf(1) / 2, powers(1, 8), "1e-12", "0.0401", 53)
    fit("log of pow f32", lambda z: two_atanh(z) - 2, lambda z: mpf(1) / 2, powers(1, 5), "1e-12", "0.0401", 53)
    # f64's pow: 2 s + s z (2 / 3 + z P(z)), the first two terms in two doubles
    fit("log of pow f64", lambda z: (two_atanh(z) - 2) / z - mpf(2) / 3, lambda z: z / 2, powers(1, 8), "1e-6", "0.0401", 53)


@table
def exp2_table():  # 2^r - 1 for f32's pow
    fit("exp2 of pow f32", lambda r: mpf(2) ** r - 1, lambda r: mpf(2) ** -r, powers(1, 8), "-0.5", "0.5", 53)


@table
def sin_tables():  # sin x = x + x^3 P(x^2), cos x = 1 + x^2 P(x^2)
    end = pi / 4 * mpf("1.01")
    fit("sin f32", lambda x: sin(x) - x, lambda x: 1 / sin(x), powers(3, 4, 2), "1e-9", end, 24)
    fit("cos f32", lambda x: cos(x) - 1, lambda x: 1 / cos(x), powers(2, 4, 2), "1e-9", end, 24)
    fit("sin f64", lambda x: sin(x) - x, lambda x: 1 / sin(x), powers(3, 7, 2), "1e-9", end, 53)
    fit("cos f64", lambda x: cos(x) - 1, lambda x: 1 / cos(x), powers(2, 7, 2), "1e-9", end, 53)


@table
def tanh_table():  # tanh x = x + x^3 P(x^2)
    fit("tanh f32", lambda x: tanh(x) - x, lambda x: 1 / tanh(x), powers(3, 5, 2), "1e-9", "0.625", 24)


@table
def erf_tables():
    # below 1: erf x = x + x P(x^2)
    fit("erf f32 small", lambda x: erf(x) - x, lambda x: 1 / erf(x), powers(1, 7, 2), "1e-9", "1", 24)
    fit("erf f64 small", lambda x: erf(x) - x, lambda x: 1 / erf(x), powers(1, 12, 2), "1e-9", "1", 53)
    # above, f32: log erfc x = P(x); f64: e^(x^2) erfc x = P((x - 3) / (x + 3))
    fit("erf f32 large", lambda x: log(erfc(x)), lambda x: erfc(x) / erf(x), powers(0, 7), "1", "4", 24)
    basis = [(lambda j: lambda x: ((x - 3) / (x + 3)) ** j)(j) for j in range(13)]
    fit("erf f64 large", lambda x: erfc(x) * exp(x * x), lambda x: exp(-x * x) / erf(x), basis, "1", "6", 53)


if __name__ == "__main__":
    for name in sys.argv[1:] or tables:
        tables[name]()
