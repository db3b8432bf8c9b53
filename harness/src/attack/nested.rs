//! Arrays in arrays: a parser that calls itself runs out of stack.

use std::time::Duration;

use super::scene::Scene;
use crate::error::Result;

/// 200,000 deep, of one and of two elements, also behind a request that is fine.
pub fn run(scene: &Scene) -> Result<()> {
    let depth = 200_000;
    for head in ["", "*2\r\n$4\r\nECHO\r\n", "*1048576\r\n"] {
        for level in ["*1\r\n", "*2\r\n", "*1048576\r\n", "*1\r\n*0\r\n", "%1\r\n", "~1\r\n"] {
            scene.strike(&[head, &level.repeat(depth)].concat().into_bytes(), Duration::from_millis(500));
        }
    }
    Ok(())
}
