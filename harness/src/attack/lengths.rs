//! Lengths that overflow, are negative, or are no numbers: nothing may be allocated for them.

use super::scene::Scene;
use crate::error::Result;

/// What stands where a length is expected.
pub const NUMBERS: [&str; 24] = [
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967295",
    "4294967296",
    "4294967297",
    "536870913",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "-2",
    "-0",
    "+5",
    "005",
    "0x10",
    "1e3",
    " 3",
    "3 ",
    "",
    "三",
    "99999999999999999999999999999999999999999999999999999999999999999",
];

/// What is sent behind a length that was believed.
const BEHIND: usize = 256;
/// Each number as a count, as the length of a bulk, and as one in the midst of a request that is fine so far.
pub fn run(scene: &Scene) -> Result<()> {
    let silence = scene.time(100, 25);
    for _ in 0..scene.amount(2, 1) {
        for number in NUMBERS {
            for head in ["*", "*1\r\n$", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$", "*2\r\n$", "$"] {
                if scene.is_over() {
                    return Ok(());
                }
                let mut bytes = format!("{head}{number}\r\n").into_bytes();
                bytes.extend_from_slice(&[b'x'; BEHIND]);
                scene.strike(&bytes, silence);
            }
        }
    }
    Ok(())
}
