//! The instruction sets that have kernels, and their names.

use std::fmt;
use std::str::FromStr;

/// An instruction set that has kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
    /// AVX2, FMA and POPCNT.
    Avx2,
    /// NEON with the dot product instructions.
    Neon,
    /// Plain Rust.
    Portable,
}

impl InstructionSet {
    /// Every set, the fastest of a processor first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
}

impl FromStr for InstructionSet {
    type Err = UnknownInstructionSet;

    /// Reads the name that `Display` writes.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|set| set.to_string() == name).ok_or(UnknownInstructionSet)
    }
}

/// There is no instruction set of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected avx512, avx2, neon or portable")]
pub struct UnknownInstructionSet;

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        })
    }
}
