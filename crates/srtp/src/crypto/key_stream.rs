use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned as _;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser, ParBlocks};

/// Data, and the counter block at which its key stream begins.
pub(crate) type Piece<'d> = (u128, &'d mut [u8]);

/// Adds their key streams to several pieces of data under one key (RFC 3711 §4.1.1).
///
/// A processor encrypts 8 to 64 blocks at a time for little more than it takes for one. A packet
/// of sound has ten, so the blocks of several packets are put together; what is missing to a full
/// set at the end is encrypted for nothing.
pub(super) struct KeyStreams<'j, 'd>(pub(super) &'j mut [Piece<'d>]);

impl BlockSizeUser for KeyStreams<'_, '_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for KeyStreams<'_, '_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let Self(pieces) = self;
        let mut left: usize = pieces.iter().map(|(_, data)| data.len().div_ceil(16)).sum();
        let mut at = Place::default();
        if left * FEW >= B::ParBlocksSize::USIZE {
            let mut blocks = ParBlocks::<B>::default();
            while left * FEW >= B::ParBlocksSize::USIZE {
                left -= add_set(backend, pieces, &mut at, &mut blocks);
            }
        }
        while let Some(run) = at.run(pieces, left) {
            let mut counters = run.counters();
            let keys = core::iter::from_fn(|| {
                let mut block = counters.next()?.to_be_bytes().into();
                backend.encrypt_block_inplace(&mut block);
                Some(block.0)
            });
            add(run.data(pieces), keys);
            left -= run.count;
        }
    }
}

/// Encrypts as many counter blocks as go at a time. Gives their number.
#[inline(always)]
fn add_set<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    pieces: &mut [Piece<'_>],
    at: &mut Place,
    blocks: &mut ParBlocks<B>,
) -> usize {
    let begin = *at;
    let mut filled = 0;
    while let Some(run) = at.run(pieces, B::ParBlocksSize::USIZE - filled) {
        let blocks = blocks.iter_mut().skip(filled).take(run.count);
        for (counter, block) in run.counters().zip(blocks) {
            *block = counter.to_be_bytes().into();
        }
        filled += run.count;
    }
    backend.encrypt_par_blocks_inplace(blocks);
    *at = begin;
    let mut used = 0;
    while let Some(run) = at.run(pieces, filled - used) {
        let keys = blocks.iter().skip(used).take(run.count).map(|block| block.0);
        add(run.data(pieces), keys);
        used += run.count;
    }
    filled
}

/// How far the pieces have been gone through.
#[derive(Clone, Copy, Default)]
struct Place {
    piece: usize,
    block: usize,
}

/// Blocks of one piece.
struct Run {
    piece: usize,
    /// Offset of the first in the piece.
    at: usize,
    counter: u128,
    count: usize,
}

impl Place {
    /// The next blocks, at most `room`, of one piece.
    #[inline(always)]
    fn run(&mut self, pieces: &[Piece<'_>], room: usize) -> Option<Run> {
        if room == 0 {
            return None;
        }
        loop {
            let (iv, data) = pieces.get(self.piece)?;
            let Self { piece, block } = *self;
            let left = data.len().div_ceil(16) - block;
            if left == 0 {
                *self = Self { piece: piece + 1, block: 0 };
                continue;
            }
            let count = left.min(room);
            self.block += count;
            let counter = iv.wrapping_add(block as u128);
            return Some(Run { piece, at: 16 * block, counter, count });
        }
    }
}

impl Run {
    #[inline(always)]
    fn counters(&self) -> impl Iterator<Item = u128> + use<> {
        let first = self.counter;
        (0u32..).map(move |block| first.wrapping_add(block.into()))
    }

    /// The octets from the first block on.
    #[inline(always)]
    fn data<'p>(&self, pieces: &'p mut [Piece<'_>]) -> &'p mut [u8] {
        let data = pieces.get_mut(self.piece).and_then(|(_, data)| data.get_mut(self.at..));
        data.unwrap_or_default()
    }
}

#[inline(always)]
fn add(data: &mut [u8], mut keys: impl Iterator<Item = [u8; 16]>) {
    let (whole, rest) = data.as_chunks_mut::<16>();
    for chunk in whole {
        let Some(key) = keys.next() else { return };
        *chunk = (u128::from_ne_bytes(*chunk) ^ u128::from_ne_bytes(key)).to_ne_bytes();
    }
    if rest.is_empty() {
        return;
    }
    if let Some(key) = keys.next() {
        rest.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
    }
}

/// A set of which less than this part is needed is not worth it: block by block, then.
const FEW: usize = 4;
