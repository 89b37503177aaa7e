//! Vectors of `f32`, as every kernel is written against them.
#![expect(unsafe_code, reason = "registers are read and written through pointers")]

/// Bytes in a line of the cache.
pub(super) const CACHE_LINE: usize = 64;

/// Values in a line of the cache.
pub(super) const LINE: usize = CACHE_LINE / size_of::<f32>();

/// Bytes in a page of memory.
pub(super) const PAGE: usize = 4_096;

/// How far ahead of the requests for cache lines the address of a page is looked up, in bytes.
pub(super) const PAGES_AHEAD: usize = 2 * PAGE;

/// An instruction set's vector operations. A value of the type is the proof that this processor has
/// the instructions, so all operations on registers are safe.
///
/// Every implementation is `#[inline(always)]`, and so is every kernel: they become code of the
/// instruction set only inside [`enter`](Simd::enter).
pub(super) trait Simd: Copy {
    /// A register of `WIDTH` values.
    type F32: Copy;

    /// Values in a register. It divides 16.
    const WIDTH: usize;

    /// The most rows of a product's tile: two accumulators for each fit into the registers.
    const TILE_ROWS: usize;

    /// Runs a task as code of this instruction set.
    fn enter<T: Task>(self, task: T);

    /// Returns a register of equal values.
    fn splat(self, value: f32) -> Self::F32;

    /// Reads `WIDTH` values.
    ///
    /// # Safety
    /// `from` must be valid for reading them; it needs no alignment beyond that of `f32`.
    unsafe fn load(self, from: *const f32) -> Self::F32;

    /// Writes `WIDTH` values.
    ///
    /// # Safety
    /// `to` must be valid for writing them; it needs no alignment beyond that of `f32`.
    unsafe fn store(self, to: *mut f32, values: Self::F32);

    /// Hints that the cache line at this address is read soon. Any address is allowed.
    fn prefetch(self, address: *const f32);

    /// The same for a cache line that is read later, so that it need not be in the first cache. A processor may
    /// ignore this hint if it does not know the address of the page yet.
    fn prefetch_far(self, address: *const f32);

    /// Stands before a loop whose speed depends on the address of its instructions. What follows has the same place
    /// within a cache line in every program. ADR 0010 has the measurement.
    #[inline(always)]
    fn align(self) {}

    /// `a + b`.
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `a - b`.
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `a * b`.
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `a / b`.
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `a * b + c`, rounded once where the instruction set can.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;

    /// The larger of `a` and `b`. NaN if `b` is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// The smaller of `a` and `b`. NaN if `b` is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `|a|`.
    fn abs(self, a: Self::F32) -> Self::F32;

    /// The nearest integer, ties to even.
    fn round(self, a: Self::F32) -> Self::F32;

    /// `a * 2^power` for an integer `power` from -126 to 127.
    fn scale(self, a: Self::F32, power: Self::F32) -> Self::F32;

    /// Which of 32 values are at most `most`: bit `i` belongs to value `i`.
    #[inline(always)]
    fn at_most(self, values: &[u16; 32], most: u16) -> u32 {
        let numbered = values.iter().enumerate();
        numbered.fold(0, |bits, (index, &value)| bits | u32::from(value <= most) << index)
    }

    /// The sum of all values, in an order that depends on nothing but `WIDTH`.
    fn sum(self, a: Self::F32) -> f32;

    /// The largest value.
    fn largest(self, a: Self::F32) -> f32;
}

/// Products of bytes: what an int8 kernel is written against.
pub(super) trait Dot: Simd {
    /// A register of `LANES` sums.
    type I32: Copy;

    /// Sums in a register. It divides 16.
    const LANES: usize;

    /// The most rows of a tile: a register of sums of each fits into the registers.
    const DOT_ROWS: usize;

    /// What an activation is stored less by, wrapping around: 0, or 128 where the instructions take
    /// signed bytes.
    const SHIFT: u8;

    /// Returns a register of zeros.
    fn zeros(self) -> Self::I32;

    /// Adds to each sum the dot product of four stored activations at `x`, the same for every sum,
    /// with its own four weights from `w`.
    ///
    /// Two adjacent weights of one sign must not pass 128 together, or 16-bit sums saturate on
    /// some processors.
    ///
    /// # Safety
    /// `x` must be valid for reading 4 bytes, `w` for reading `4 * LANES`.
    unsafe fn dot(self, sums: Self::I32, x: *const u8, w: *const i8) -> Self::I32;

    /// Adds to each sum the products of eight half bytes: the lower halves of its four bytes of `codes`, from
    /// 0 to 15, with four values of `low`, and the upper halves with four values of `high`.
    ///
    /// # Safety
    /// Each pointer must be valid for reading `4 * LANES` bytes.
    unsafe fn dot_halves(
        self,
        sums: Self::I32,
        codes: *const u8,
        low: *const i8,
        high: *const i8,
    ) -> Self::I32;

    /// Adds the values whose bits are set to the sums, in any order. Bit `i` belongs to value `i`.
    fn add_where(self, sums: Self::I32, values: &[i8; 64], bits: u64) -> Self::I32;

    /// The total of all sums.
    fn total(self, sums: Self::I32) -> i32;

    /// Writes `LANES` sums.
    ///
    /// # Safety
    /// `to` must be valid for writing them.
    unsafe fn store_sums(self, to: *mut i32, sums: Self::I32);
}

/// A kernel with its arguments. `run` must be `#[inline(always)]`.
pub(super) trait Task {
    /// Runs the kernel with the instructions of `simd`.
    fn run<S: Dot>(self, simd: S);
}
