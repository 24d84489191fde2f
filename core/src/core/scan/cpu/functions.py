r"""Elementary functions on vectors: a call of the C library per lane would cost more than a step.

Errors, in units in the last place of the result, measured against double precision (single) and
the C library (double) by ``core/tests/test_scan_functions.py``:

=========  ====================  ===================================================================
function   error                 how
=========  ====================  ===================================================================
exp        2                     :math:`2^k e^r`, Taylor polynomial
log        1.5                   :math:`k \ln 2 + 2 artanh(s)`, ``s = f / (2 + f)``
sin, cos   3                     multiples of pi / 2 in parts, Taylor polynomials
erf        2.5, double 9         Taylor series below 1, ``1 - exp(-x^2) erfcx(x)`` above
fmod       0                     quotient, exact remainder, corrected by at most one
=========  ====================  ===================================================================

What is made of them (:mod:`core.scan.rules`): ``log1p``, ``softplus`` 3; powers other than those
of small whole numbers and roots ``2 (1 + |y log x|)``.

Arguments of sine and cosine beyond :data:`FARTHEST`, and quotients that do not fit the mantissa,
go to the C library lane by lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from scipy import special

from core.scan.cpu.code import I1, Code, Value

FARTHEST = {4: 1e4, 8: 1e6}
"""Largest argument of sine and cosine that is reduced here, by bytes of a number."""
#: ln 2 in two parts, by bytes of a number: k times the first is exact.
_LN2 = {
    4: (0.693359375, -2.12194440054690583e-4),
    8: (0.693145751953125, 1.42860682030941723212e-6),
}


def exponential(code: Code, x: Value) -> Value:
    r"""``exp(x) = 2^k exp(r)``, ``k = round(x / ln 2)``, ``|r| <= ln(2) / 2``.

    ``exp(r)`` is its Taylor polynomial, of degree 7 in single and 13 in double precision (its
    error is below half a unit in the last place).
    """
    b, single = code.builder, code.real_bytes == 4
    highest, degree = (88.72283935546875, 7) if single else (709.782712893384, 13)
    lowest = -87.33654 if single else -708.3964
    high, low = _LN2[code.real_bytes]
    clipped = b.select(b.fcmp_ordered(">", x, code.constant(highest)), code.constant(highest), x)
    clipped = b.select(
        b.fcmp_ordered("<", clipped, code.constant(lowest)), code.constant(lowest), clipped
    )
    k = code.intrinsic("llvm.rint", b.fmul(clipped, code.constant(1.0 / math.log(2.0))))
    r = code.multiply_add(k, code.constant(-high), clipped)
    r = code.multiply_add(k, code.constant(-low), r)
    power = _polynomial(code, [1.0 / math.factorial(order) for order in range(degree + 1)], r)
    # One bit of the exponent is kept back, as 2^128 itself is no number.
    whole = b.fptosi(b.fsub(k, code.constant(1.0)), _integers(code))
    bias = 127 if single else 1023
    exponent = b.add(whole, _whole(code, bias))
    scale = b.bitcast(b.shl(exponent, _whole(code, _mantissa(code))), code.vector)
    result = b.fmul(b.fmul(power, scale), code.constant(2.0))
    result = b.select(b.fcmp_ordered("<", x, code.constant(lowest)), code.constant(0.0), result)
    infinity = code.constant(math.inf)
    result = b.select(b.fcmp_ordered(">", x, code.constant(highest)), infinity, result)
    return unless_nan(code, x, result)


def logarithm(code: Code, x: Value) -> Value:
    r"""``log(x) = k ln 2 + log(m)``, ``x = 2^k m``, ``sqrt(1/2) <= m < sqrt(2)``.

    With ``f = m - 1`` (exact) and ``s = f / (2 + f)``: ``log(m) = f - s (f - R)``, where
    ``R = 2/3 s^2 + 2/5 s^4 + ...`` is a small correction.
    """
    b, single = code.builder, code.real_bytes == 4
    smallest, lift = (2.0**-126, 25) if single else (2.0**-1022, 54)
    tiny = b.fcmp_ordered("<", x, code.constant(smallest))
    bits = b.bitcast(b.select(tiny, b.fmul(x, code.constant(2.0**lift)), x), _integers(code))
    above = b.sub(bits, _whole(code, _bits(code, math.sqrt(0.5))))
    k = b.ashr(above, _whole(code, _mantissa(code)))
    mantissa = b.bitcast(b.sub(bits, b.shl(k, _whole(code, _mantissa(code)))), code.vector)
    count = b.sitofp(k, code.vector)
    count = b.select(tiny, b.fsub(count, code.constant(float(lift))), count)
    f = b.fsub(mantissa, code.constant(1.0))
    s = b.fdiv(f, b.fadd(f, code.constant(2.0)))
    z = b.fmul(s, s)
    terms = [0.0, *(2.0 / (2 * n + 1) for n in range(1, 5 if single else 11))]
    correction = b.fmul(s, b.fsub(f, _polynomial(code, terms, z)))
    high, low = _LN2[code.real_bytes]
    rest = b.fsub(correction, b.fmul(count, code.constant(low)))
    result = b.fsub(b.fmul(count, code.constant(high)), b.fsub(rest, f))
    for special_case, value in ((0.0, -math.inf), (math.inf, math.inf)):
        at = b.fcmp_ordered("==", x, code.constant(special_case))
        result = b.select(at, code.constant(value), result)
    negative = b.fcmp_ordered("<", x, code.constant(0.0))
    result = b.select(negative, code.constant(math.nan), result)
    return unless_nan(code, x, result)


def sine(code: Code, x: Value) -> Value:
    """``sin(x)``."""
    return _circular(code, x, "llvm.sin", 0)


def cosine(code: Code, x: Value) -> Value:
    """``cos(x) = sin(x + pi / 2)``: the same, a quarter further."""
    return _circular(code, x, "llvm.cos", 1)


def _circular(code: Code, x: Value, library: str, quarters: int) -> Value:
    b, single = code.builder, code.real_bytes == 4
    k = code.intrinsic("llvm.rint", b.fmul(x, code.constant(2.0 / math.pi)))
    r = x
    for part in _half_pi([11] * 4 + [24] if single else [32] * 3 + [53]):
        r = code.multiply_add(k, code.constant(-part), r)
    z = b.fmul(r, r)
    terms = 4 if single else 8
    odd = [(-1.0) ** n / math.factorial(2 * n + 1) for n in range(1, terms + 1)]
    even = [(-1.0) ** n / math.factorial(2 * n) for n in range(2, terms + 2)]
    sin = code.multiply_add(b.fmul(r, z), _polynomial(code, odd, z), r)
    half = b.fmul(z, code.constant(0.5))
    near = b.fsub(code.constant(1.0), half)
    lost = b.fsub(b.fsub(code.constant(1.0), near), half)
    square = b.fmul(z, z)
    cos = b.fadd(near, code.multiply_add(square, _polynomial(code, even, z), lost))
    quadrant = b.add(b.fptosi(k, _integers(code)), _whole(code, quarters))
    swapped = b.icmp_signed("!=", b.and_(quadrant, _whole(code, 1)), _whole(code, 0))
    turned = b.icmp_signed("!=", b.and_(quadrant, _whole(code, 2)), _whole(code, 0))
    result = b.select(swapped, cos, sin)
    result = b.select(turned, b.fneg(result), result)
    distance = code.intrinsic("llvm.fabs", x)
    far = b.fcmp_unordered(">", distance, code.constant(FARTHEST[code.real_bytes]))
    return _else_library(code, far, result, lambda: code.intrinsic(library, x))


def _half_pi(bits: list[int]) -> list[float]:
    """``pi / 2`` as a sum of numbers of so many bits; products of all but the last are exact."""
    left, scale = 15707963267948966192313216916397514420986, 10**40
    found = []
    for count in bits:
        step = count - (left.bit_length() - scale.bit_length())
        whole = (left << step) // scale
        found.append(math.ldexp(whole, -step))
        left, scale = (left << step) - whole * scale, scale << step
    return found


def error_function(code: Code, x: Value) -> Value:
    """``erf(x)``: its Taylor series for ``|x| < 1``, else ``1 - exp(-x^2) erfcx(|x|)``, signed.

    ``erfcx`` is the Chebyshev series through SciPy's.
    """
    b, single = code.builder, code.real_bytes == 4
    # a series is least exact at its ends, so this one begins before it is needed
    lowest, highest = 0.5, 4.0 if single else 6.0
    size = code.intrinsic("llvm.fabs", x)
    z = b.fmul(x, x)
    one, end = code.constant(1.0), code.constant(highest)
    inner = [
        (-1.0) ** n / (math.factorial(n) * (2 * n + 1)) * 2.0 / math.sqrt(math.pi)
        for n in range(12 if single else 20)
    ]
    below = b.fmul(x, _polynomial(code, inner, z))
    clipped = b.select(b.fcmp_ordered("<", size, end), size, end)
    clipped = b.select(b.fcmp_ordered(">", clipped, one), clipped, one)
    slope = 2.0 / (highest - lowest)
    shift = -1.0 - slope * lowest
    place = code.multiply_add(clipped, code.constant(slope), code.constant(shift))
    outer = _chebyshev(special.erfcx, lowest, highest, 13 if single else 30)
    tail = exponential(code, b.fneg(b.fmul(clipped, clipped)))
    tail = b.fmul(tail, _clenshaw(code, outer, place))
    above = code.intrinsic("llvm.copysign", b.fsub(one, tail), x)
    result = b.select(b.fcmp_ordered("<", size, one), below, above)
    return unless_nan(code, x, result)


def _chebyshev(function: Callable[[Any], Any], low: float, high: float, degree: int) -> list[float]:
    """Coefficients of the Chebyshev series through ``function`` on an interval."""
    orders = np.arange(degree + 1)
    angles = np.pi * (orders + 0.5) / (degree + 1)
    values = function(low + (np.cos(angles) + 1.0) * (0.5 * (high - low)))
    series = 2.0 / (degree + 1) * np.cos(np.outer(orders, angles)) @ values
    series[0] /= 2.0
    return [float(value) for value in series]


def _clenshaw(code: Code, series: list[float], t: Value) -> Value:
    """A Chebyshev series at ``-1 <= t <= 1``, which powers of ``t`` would compute less exactly."""
    b = code.builder
    double = b.fadd(t, t)
    one_before, two_before = code.constant(series[-1]), code.constant(0.0)
    for coefficient in reversed(series[1:-1]):
        here = b.fsub(code.constant(coefficient), two_before)
        one_before, two_before = code.multiply_add(double, one_before, here), one_before
    return code.multiply_add(t, one_before, b.fsub(code.constant(series[0]), two_before))


def remainder(code: Code, a: Value, d: Value) -> Value:
    """``fmod(a, d) = a - trunc(a / d) d``, with the sign of ``a``, exact.

    The rounded quotient is off by at most one, so is the remainder by one ``d``, and both are
    numbers; that needs a product and a sum that are rounded once.
    """
    b = code.builder
    if not code.machine.fma:
        return b.frem(a, d)
    size, width = code.intrinsic("llvm.fabs", a), code.intrinsic("llvm.fabs", d)
    quotient = code.intrinsic("llvm.trunc", b.fdiv(size, width))
    rest = code.intrinsic("llvm.fma", b.fneg(quotient), width, size)
    rest = b.select(b.fcmp_ordered("<", rest, code.constant(0.0)), b.fadd(rest, width), rest)
    rest = b.select(b.fcmp_ordered(">=", rest, width), b.fsub(rest, width), rest)
    endless = b.fcmp_ordered("==", width, code.constant(math.inf))
    result = code.intrinsic("llvm.copysign", b.select(endless, size, rest), a)
    largest = 2.0 ** (_mantissa(code) - 1)
    far = b.fcmp_unordered(">", quotient, code.constant(largest))
    return _else_library(code, far, result, lambda: b.frem(a, d))


def unless_nan(code: Code, x: Value, result: Value) -> Value:
    """``result``, or ``x`` where that is NaN."""
    return code.builder.select(code.builder.fcmp_unordered("uno", x, x), x, result)


# ---- parts


def _else_library(code: Code, far: Value, result: Value, library: Callable[[], Value]) -> Value:
    """``result``, but where ``far`` what the C library says; it is asked only if there is such."""
    b = code.builder
    place = code.variable(ir.Constant(code.vector, None))
    b.store(result, place)
    kind = ir.FunctionType(I1, [ir.VectorType(I1, code.lanes)])
    some = b.call(code.declare(f"llvm.vector.reduce.or.v{code.lanes}i1", kind), [far])
    with code.when(some):
        b.store(b.select(far, library(), result), place)
    return code.read(place)


def _polynomial(code: Code, coefficients: list[float], x: Value) -> Value:
    """``c[0] + c[1] x + ...`` by Horner's rule."""
    result = code.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = code.multiply_add(result, x, code.constant(coefficient))
    return result


def _integers(code: Code) -> ir.VectorType:
    return ir.VectorType(ir.IntType(8 * code.real_bytes), code.lanes)


def _whole(code: Code, value: int) -> Value:
    return ir.Constant(_integers(code), [value] * code.lanes)


def _mantissa(code: Code) -> int:
    return 23 if code.real_bytes == 4 else 52


def _bits(code: Code, value: float) -> int:
    real, whole = (np.float32, np.int32) if code.real_bytes == 4 else (np.float64, np.int64)
    return int(np.array(value, real).view(whole))
