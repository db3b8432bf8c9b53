//! Linearizability: what clients saw who asked at once must follow from one order of their requests.
//!
//! ```text
//!  script (seed) ─ requests ─► clients ─► kvd ◄─ kill -9 in their midst, restart
//!                                 │ invoked, returned, reply
//!                                 ▼
//!     history: stretches, each with a look at everything behind it ─► judge ◄─ model
//! ```
//!
//! A request takes effect at one moment between its invocation and its return. One without an answer may have taken effect
//! until its server's death, or never. The look behind a stretch is alone and shows all there is: so stretches can be judged one
//! after the other, each from what the look before it has shown, and this is as strict as judging them as one.
//!
//! Not done here: finding the order is the crate `todc-utils`'s.

pub mod figures;
pub mod history;
pub mod judge;
pub mod model;
pub mod play;
pub mod script;
