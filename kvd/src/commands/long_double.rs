//! The numbers of INCRBYFLOAT: what C calls `long double` on x86, 64 bits of mantissa, in integers.
//!
//! Redis adds in this format and shows 17 decimals without trailing zeros. With `f64` in its place 0.1 + 0.2 would be
//! 0.30000000000000004 where Redis answers 0.3, and a client would see the difference. Numbers are read and shown
//! exactly, rounded once to the nearest, ties to even, as the C library does. Not done: hexadecimal digits, and the
//! lost bits of numbers below 1e-4932, which no reply could show.

use std::fmt::Write;

/// A number that is not NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LongDouble {
    negative: bool,
    /// The highest bit is set, but for zero.
    mantissa: u64,
    /// Of two, for the mantissa's lowest bit. [`INFINITE`] for infinity.
    exponent: i32,
}

const INFINITE: i32 = i32::MAX;
/// Exponent of the largest and the smallest numbers there are.
const MAX_EXPONENT: i32 = 16_383 - 63;
const MIN_EXPONENT: i32 = -16_445 - 63;
/// Longest text that is a number.
const MAX_TEXT: usize = 5119;
/// More digits than this before the point are too many, more zeros behind it than this are zero.
const MAX_DIGITS: i64 = 5000;
/// Decimals shown.
const DECIMALS: u32 = 17;
const SCALE: u128 = 10u128.pow(DECIMALS);

impl LongDouble {
    /// 0
    pub(super) const ZERO: LongDouble = LongDouble { negative: false, mantissa: 0, exponent: 0 };

    /// Reads decimal digits with an optional sign, point and exponent, or infinity. `None` for anything else, and for
    /// what is too large or too small.
    pub(super) fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble { negative, mantissa: 0, exponent: INFINITE });
        }
        let (digits, power) = decimal(text)?;
        let mut number = Natural::from_digits(&digits);
        if number.is_zero() {
            return Some(LongDouble { negative, ..LongDouble::ZERO });
        }
        if (digits.len() as i64).saturating_add(power).abs() > MAX_DIGITS {
            return None;
        }
        let (mut exponent, mut inexact) = (0, false);
        if power >= 0 {
            number.multiply_by_power(power as u64);
        } else {
            // Room for a quotient of more than 128 bits: what is cut off below them only says that it is inexact.
            let divisor_bits = power.unsigned_abs() as usize * 3322 / 1000 + 2;
            let shift = (divisor_bits + 130).saturating_sub(number.bits());
            number.shift_left(shift);
            exponent = -(shift as i32);
            inexact = number.divide_by_power(power.unsigned_abs());
        }
        let (top, dropped, more) = number.top();
        let value = LongDouble::rounded(negative, top, exponent + dropped as i32, inexact || more);
        (value.exponent != INFINITE && value.exponent >= MIN_EXPONENT).then_some(value)
    }

    /// Whether it is more than any number, or less.
    pub(super) fn is_infinite(self) -> bool {
        self.exponent == INFINITE
    }

    /// The number, rounded once more.
    pub(super) fn to_f64(self) -> f64 {
        let size = match self.exponent {
            INFINITE => f64::INFINITY,
            // Twice, since a power of its own may lie outside when the product does not.
            exponent => self.mantissa as f64 * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2),
        };
        if self.negative { -size } else { size }
    }

    /// A number of 53 bits, which is exact in 64. Not for NaN.
    pub(super) fn from_f64(value: f64) -> LongDouble {
        let negative = value.is_sign_negative();
        if value.is_infinite() {
            return LongDouble { negative, mantissa: 0, exponent: INFINITE };
        }
        let bits = value.to_bits();
        let (fraction, power) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7FF) as i32);
        let mantissa = if power == 0 { fraction } else { fraction | 1 << 52 };
        LongDouble::rounded(negative, u128::from(mantissa), power.max(1) - 1075, false)
    }

    /// The sum, rounded.
    pub(super) fn add(self, other: LongDouble) -> LongDouble {
        if self.exponent == INFINITE || other.mantissa == 0 && other.exponent != INFINITE {
            return self;
        }
        if other.exponent == INFINITE || self.mantissa == 0 {
            return other;
        }
        let magnitude = |number: &LongDouble| (number.exponent, number.mantissa);
        let (large, small) = if magnitude(&self) >= magnitude(&other) { (self, other) } else { (other, self) };
        // 64 bits, then 62 more for what the smaller one has below; what lies even lower is one sticky bit.
        let distance = (large.exponent - small.exponent) as u32;
        let addend = if distance <= 62 {
            u128::from(small.mantissa) << (62 - distance)
        } else {
            let kept = u128::from(small.mantissa).checked_shr(distance - 62).unwrap_or(0);
            let lost = distance - 62 >= 64 || u128::from(small.mantissa) != kept << (distance - 62);
            kept | u128::from(lost)
        };
        let base = u128::from(large.mantissa) << 62;
        let sum = if large.negative == small.negative { base + addend } else { base - addend };
        LongDouble::rounded(large.negative, sum, large.exponent - 62, false)
    }

    /// 17 decimals, less the zeros at the end. `None` for infinity.
    pub(super) fn to_text(self) -> Option<String> {
        if self.exponent == INFINITE {
            return None;
        }
        let mut text = String::new();
        if self.exponent > 64 {
            let mut whole = Natural::from(u128::from(self.mantissa));
            whole.shift_left(self.exponent as usize);
            text = whole.into_text();
        } else if self.exponent >= 0 {
            text = (u128::from(self.mantissa) << self.exponent).to_string();
        } else {
            let scaled = shift_right_rounded(u128::from(self.mantissa) * SCALE, self.exponent.unsigned_abs());
            let _ = write!(text, "{}.{:0width$}", scaled / SCALE, scaled % SCALE, width = DECIMALS as usize);
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        }
        if self.negative && text != "0" {
            text.insert(0, '-');
        }
        Some(text)
    }

    /// A number of 64 bits from a longer one, to the nearest, ties to even. `inexact`: there is more below.
    fn rounded(negative: bool, value: u128, exponent: i32, inexact: bool) -> LongDouble {
        if value == 0 {
            return LongDouble::ZERO;
        }
        let aligned = value << value.leading_zeros();
        let mut exponent = exponent - value.leading_zeros() as i32 + 64;
        let (mut mantissa, low) = ((aligned >> 64) as u64, aligned as u64);
        let half = 1 << 63;
        if low > half || low == half && (inexact || mantissa & 1 == 1) {
            mantissa = mantissa.wrapping_add(1);
            if mantissa == 0 {
                mantissa = half;
                exponent += 1;
            }
        }
        if exponent > MAX_EXPONENT {
            return LongDouble { negative, mantissa: 0, exponent: INFINITE };
        }
        LongDouble { negative, mantissa, exponent }
    }
}

/// The digits of a decimal number without its point, and the power of ten they are to be multiplied by.
fn decimal(text: &[u8]) -> Option<(Vec<u8>, i64)> {
    let end = text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')).unwrap_or(text.len());
    let (number, exponent) = text.split_at(end);
    let power = match exponent {
        [] => 0,
        [_, sign @ (b'+' | b'-'), digits @ ..] => exponent_of(digits)? * if *sign == b'-' { -1 } else { 1 },
        [_, digits @ ..] => exponent_of(digits)?,
    };
    let point = number.iter().position(|&byte| byte == b'.');
    let digits: Vec<u8> =
        number.iter().enumerate().filter(|(at, _)| Some(*at) != point).map(|(_, digit)| *digit).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let decimals = point.map_or(0, |point| number.len() - point - 1);
    let leading_zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    Some((digits[leading_zeros..].to_vec(), power - decimals as i64))
}

/// Digits as a number that is large enough to be too large.
fn exponent_of(digits: &[u8]) -> Option<i64> {
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let value =
        |digits: &[u8]| digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1 << 40));
    valid.then(|| value(digits))
}

/// `value / 2^by`, to the nearest, ties to even.
fn shift_right_rounded(value: u128, by: u32) -> u128 {
    if by >= u128::BITS {
        return 0;
    }
    let (whole, rest, half) = (value >> by, value & ((1 << by) - 1), 1u128 << (by - 1));
    whole + u128::from(rest > half || rest == half && whole & 1 == 1)
}

/// A natural number of any size, lowest limb first, without zeros at the top.
struct Natural(Vec<u32>);

const LIMB_TEN: u32 = 1_000_000_000;
const LIMB_TEN_POWER: u64 = 9;

impl Natural {
    fn from(mut value: u128) -> Natural {
        let mut limbs = Vec::new();
        while value != 0 {
            limbs.push(value as u32);
            value >>= u32::BITS;
        }
        Natural(limbs)
    }

    fn from_digits(digits: &[u8]) -> Natural {
        let mut number = Natural(Vec::new());
        for chunk in digits.chunks(LIMB_TEN_POWER as usize) {
            let value = chunk.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
            number.multiply_add(10u32.pow(chunk.len() as u32), value);
        }
        number
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
    }

    /// Leaves the quotient, returns the remainder.
    fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0;
        for limb in self.0.iter_mut().rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / u64::from(divisor)) as u32;
            rest = value % u64::from(divisor);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        rest as u32
    }

    fn multiply_by_power(&mut self, power: u64) {
        for factor in powers_of_ten(power) {
            self.multiply_add(factor, 0);
        }
    }

    /// Divides by a power of ten; whether anything remained.
    fn divide_by_power(&mut self, power: u64) -> bool {
        let mut inexact = false;
        for divisor in powers_of_ten(power) {
            inexact |= self.divide(divisor) != 0;
        }
        inexact
    }

    fn shift_left(&mut self, by: usize) {
        self.multiply_add(1 << (by % 32), 0);
        self.0.splice(0..0, std::iter::repeat_n(0, by / 32));
    }

    /// The highest 128 bits, how many there are below them, and whether any of those is set.
    fn top(&self) -> (u128, usize, bool) {
        let dropped = self.bits().saturating_sub(128);
        let (limbs, bits) = (dropped / 32, dropped % 32);
        let kept = &self.0[limbs..];
        // Up to five limbs hold the 128 bits.
        let low = kept.first().map_or(0, |limb| u128::from(*limb) >> bits);
        let high = kept.iter().skip(1).rev().fold(0u128, |value, limb| value << 32 | u128::from(*limb));
        let lost = self.0[..limbs].iter().any(|limb| *limb != 0)
            || kept.first().is_some_and(|limb| limb & ((1u32 << bits) - 1) != 0);
        (high << (32 - bits) | low, dropped, lost)
    }

    fn into_text(mut self) -> String {
        let mut chunks = Vec::new();
        while !self.is_zero() {
            chunks.push(self.divide(LIMB_TEN));
        }
        let mut text = chunks.pop().unwrap_or(0).to_string();
        for chunk in chunks.iter().rev() {
            let _ = write!(text, "{chunk:09}");
        }
        text
    }
}

/// Factors of ten to a power, none larger than a limb.
fn powers_of_ten(power: u64) -> impl Iterator<Item = u32> {
    let whole = (power / LIMB_TEN_POWER) as usize;
    std::iter::repeat_n(LIMB_TEN, whole).chain([10u32.pow((power % LIMB_TEN_POWER) as u32)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(left: &str, right: &str) -> Option<String> {
        LongDouble::parse(left.as_bytes())?.add(LongDouble::parse(right.as_bytes())?).to_text()
    }

    /// What `SET` and `INCRBYFLOAT` answer in Redis on x86.
    const SUMS: &[(&str, &str, &str)] = &[
        ("10.5", "0.1", "10.6"),
        ("5.0e3", "200", "5200"),
        ("3.0", "0", "3"),
        ("0.1", "0.2", "0.3"),
        ("1", "-1", "0"),
        ("0", "-0.0", "0"),
        ("1000.1", "0", "1000.09999999999999998"),
        ("1.23", "4.56", "5.79"),
        ("123456789.123456789", "0.000000001", "123456789.12345678999554366"),
        ("1e17", "0.1", "100000000000000000.1015625"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("18446744073709551616", "0.5", "18446744073709551616"),
        ("1e30", "1", "1000000000000000000024696061952"),
        ("1e-17", "0", "0.00000000000000001"),
        ("5e-18", "0", "0"),
        ("4.9e-18", "0", "0"),
        ("1e-30", "1", "1"),
        ("3", "1.5", "4.5"),
        ("1.5", ".5", "2"),
        ("5.", "5.", "10"),
        ("0.3", "-0.1", "0.2"),
        ("-0.3", "0.3", "0"),
        ("99999999999999999999999999999", "0.00000000000000001", "99999999999999999997315645440"),
        ("9007199254740993", "0.5", "9007199254740993.5"),
        ("0.12345678901234567", "0", "0.12345678901234567"),
        ("0.1", "0.0", "0.1"),
        ("1e-4940", "0", "0"),
        ("0.5", "2.5e-18", "0.5"),
        ("1", "1e-19", "1"),
        ("-1", "1e-25", "-1"),
        ("2", "-1e-19", "2"),
        ("9223372036854775808", "-0.5", "9223372036854775807.5"),
        ("36893488147419103232", "-1", "36893488147419103232"),
        ("00012.500", "+1", "13.5"),
        (
            "7756802421011805068781820987516765132857e-53",
            "2007972388043434888685463959526583691830e-7",
            "200797238804343488871798805626880",
        ),
        ("-6.186190443567252e-07", "140349e-12", "-0.00000047827004436"),
        ("4497420098637941813713047787719328277337e-17", "967836688.1266144105303", "44974200986380385972224"),
        ("326986382.148889880452198", "-581", "326985801.14888988045277074"),
        ("-643826004.303358", "92295597790016.7", "92294953964012.396636962890625"),
        ("-609869514.6429423", "-956859.5832408975", "-610826374.22618319751927629"),
        ("-687107534.69943232", "-3.97281798461075e+17", "-397281799148182534.6875"),
        (
            "3643633385437683589665726930010106607437e-4",
            "-0.028929728540006173",
            "364363338543768358976829582703853568",
        ),
        ("460498e15", "33408623.3172699663053394", "460498000000033408608"),
        ("950.1991", "689.76178", "1639.96087999999999996"),
        ("-267.631048", "7502112486874661339601019480965738339876e-11", "75021124868746613395485097984"),
        ("8207277402818406127083077282271827766131e-15", "-277779e20", "-19570622597181593874333696"),
        ("6161851090740878172901461696383888823818e-47", "7.193886383751602e-19", "0.00000006161851091"),
        ("983486e-14", "-268265267.52259841831285150", "-268265267.52259840848273598"),
        ("-269942472.992349633", "3170342751479349441664498769067773140588e-11", "31703427514793494417080582144"),
        ("442.27", "9.934536290734078e-11", "442.27000000009934536"),
        ("973.4", "7907255900603785470661633606846224891669e-38", "1052.47255900603785472"),
        ("652591023.5972532", "-694594e-18", "652591023.59725320001598448"),
        ("-331.6294128", "-719599151.82627", "-719599483.4556828000349924"),
        ("-776380e-4", "-217768e-6", "-77.855768"),
        ("-410.374148", "933581e-4", "-317.01604800000000001"),
        ("8060894218574511754949920697141958488653e-20", "-425306e12", "80183636185745117552"),
        ("-153193e-7", "644.110009", "644.09468970000000004"),
        ("5423129252619141676467210605306584661614e-55", "-63975940511.91598", "-63975940511.91598000004887581"),
        ("30357745021864.168", "8437352936918418850484986499677529563224e-22", "843765651436863749.25"),
        ("3847130044202426617179955585169512799465e-35", "6.704649699581447e-05", "38471.30050907076316591"),
        ("9.137708536617094", "246959622.7", "246959631.83770853660826106"),
        ("2950807179284294531058607883085455446416e-29", "6.333593353681135e+20", "633359335397621571840"),
        ("-3.042309839446002e+20", "475654.70542781305", "-304230983944599724352"),
        ("8.446664637756286e-10", "-236061e17", "-23606100000000000000000"),
        ("2098239814023394950707823715515131548099e-53", "8747633822.836695", "8747633822.83669499959796667"),
        ("3.8285116968805677e+25", "-639654e28", "-6396539961714883030882643957776384"),
        ("2.4747418691527564e+28", "4.4082894915367385e-20", "24747418691527563999740690432"),
        ("-656353085.731968186821557", "-529619124.661510", "-1185972210.39347818680107594"),
        ("959.5199112", "-883728771.14526", "-883727811.62534880003659055"),
        ("9359610256.783249", "177509827.53", "9537120084.31324900034815073"),
        ("-263691e23", "7567147010809648462000569198306701153641e-57", "-26369099999999999999605735424"),
        ("-99867.87684184258", "7.117094458645925e-14", "-99867.87684184257992825"),
        ("6652497450383186893979931483221809075110e-19", "90.4417", "665249745038318689472"),
        ("0.00902205818606857", "637043.9995700084", "637044.00859206658606126"),
    ];

    #[test]
    fn sums_are_those_of_redis() {
        for &(left, right, expected) in SUMS {
            assert_eq!(sum(left, right).as_deref(), Some(expected), "{left} + {right}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", " 1", "1 ", "+", "-", ".", "e5", "1e", "1e+", "1.2.3", "--1", "nan", "1x", "1e5000", "1e-5000"]
        {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn infinity_is_a_number_that_cannot_be_shown() {
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("1", "-Infinity"), None);
        assert_eq!(sum("1.1e4932", "1.1e4932"), None);
    }
}
