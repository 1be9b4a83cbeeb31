//! The words of the product as types: no I/O, no clock, no database.

pub mod alert;
pub mod budget;
pub mod campaign;
pub mod delivery;
pub mod frame;
pub mod job;
pub mod policy;
pub mod post;
pub mod problem;
pub mod recurrence;
pub mod refusal;
pub mod review;
pub mod sealed;
pub mod snippet;
pub mod video;
pub mod when;

/// An enum kept as a word in the database and in JSON: `Display`, `FromStr` and serde in one.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:tt),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            pub fn as_str(self) -> &'static str { match self { $($name::$variant => $word),+ } }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                match s { $($word => Ok($name::$variant),)+ _ => Err(format!("`{s}` is no {}", stringify!($name))) }
            }
        }
    };
}
