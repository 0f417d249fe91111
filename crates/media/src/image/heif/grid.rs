//! A HEIF picture that is a grid of equal tiles, as phones write it.

use super::coded::CodedPicture;
use super::source::HeifSource;
use crate::decode::codec::factory::DecoderFactory;
use crate::error::{MediaError, malformed, unsupported};
use crate::frame::Rgb;

/// Bytes of the description of a grid, at most.
const MAX_DESCRIPTION: u64 = 64;

/// A grid: rows of tiles, cut at the right and at the bottom.
#[derive(Debug)]
pub(super) struct Grid {
    /// Size in pixels.
    pub(super) size: (u32, u32),
    columns: usize,
    /// Tiles from left to right and from top to bottom, all of one size.
    tiles: Vec<CodedPicture>,
}

impl Grid {
    /// Reads the grid of item `id` and its tiles.
    ///
    /// # Errors
    /// `Malformed` when there are too few tiles, or when they differ in size or do not cover the picture.
    pub(super) fn read(source: &HeifSource, id: u32) -> Result<Self, MediaError> {
        let (rows, columns, size) = description(&source.items.data(&source.bytes, id, MAX_DESCRIPTION)?)?;
        let ids: Vec<u32> = source.items.get(id)?.referred(b"dimg").collect();
        if ids.len() < rows * columns {
            let what = format!("a grid of {columns}x{rows} tiles has {}", ids.len());
            return Err(malformed("heif picture", what));
        }
        let mut tiles = Vec::new();
        for &tile in &ids[..rows * columns] {
            if source.items.get(tile)?.kind == *b"grid" {
                return Err(unsupported("HEIF picture that is a grid of grids".into()));
            }
            tiles.push(CodedPicture::read(source, tile)?);
        }
        let tile = tiles[0].size;
        if let Some(other) = tiles.iter().find(|other| other.size != tile) {
            let what = format!("tiles of {:?} and of {:?} pixels in one grid", tile, other.size);
            return Err(malformed("heif picture", what));
        }
        // Every row and column of tiles must be seen, or the work would not be bounded by the picture's size.
        let covers = |tile: u32, count: usize, all: u32| {
            let (tile, count, all) = (u64::from(tile), count as u64, u64::from(all));
            tile * count >= all && tile * (count - 1) < all
        };
        if !covers(tile.0, columns, size.0) || !covers(tile.1, rows, size.1) {
            let what = format!("{columns}x{rows} tiles of {tile:?} pixels do not make a picture of {size:?}");
            return Err(malformed("heif picture", what));
        }
        Ok(Grid { size, columns, tiles })
    }

    /// The first tile, which stands for all.
    pub(super) fn first(&self) -> &CodedPicture {
        &self.tiles[0]
    }

    /// Decodes all tiles, side by side on the threads of the options.
    ///
    /// # Errors
    /// What is wrong with the first tile that cannot be decoded.
    pub(super) fn decode(&self, source: &HeifSource) -> Result<Rgb, MediaError> {
        let (width, height) = self.size;
        let mut data = vec![0; width as usize * height as usize * 3];
        let (row_bytes, tile_rows) = (width as usize * 3, self.tiles[0].size.1 as usize);
        let bands: Vec<_> = data.chunks_mut(row_bytes * tile_rows).zip(self.tiles.chunks(self.columns)).collect();
        let queue = std::sync::Mutex::new(bands.into_iter());
        let rows = self.tiles.len() / self.columns;
        let threads = source.options.threads.clamp(1, rows);
        let work = || -> Result<(), MediaError> {
            let mut factory = Factory(None);
            loop {
                // The lock is held only while the next band is taken.
                let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                let Some((band, tiles)) = next else { return Ok(()) };
                for (column, tile) in tiles.iter().enumerate() {
                    let rgb = tile.decode(source, factory.for_tile(source, tile)?)?;
                    draw(&rgb, band, row_bytes, column * rgb.width as usize * 3);
                }
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut result = work();
            for worker in workers {
                let other = worker.join().unwrap_or_else(|_| Err(MediaError::Bug("a decoding thread ended".into())));
                result = result.and(other);
            }
            result
        })?;
        Ok(Rgb { width, height, data })
    }
}

/// The decoders of the last tile, which those after it mostly share.
struct Factory<'a>(Option<(&'a CodedPicture, DecoderFactory)>);

impl<'a> Factory<'a> {
    fn for_tile(&mut self, source: &HeifSource, tile: &'a CodedPicture) -> Result<&DecoderFactory, MediaError> {
        let kept = self.0.take().filter(|(last, _)| tile.shares_decoder(last));
        let kept = match kept {
            Some(kept) => kept,
            None => (tile, tile.factory(source)?),
        };
        Ok(&self.0.insert(kept).1)
    }
}

/// Copies the rows of a tile into a band of the picture, cut at its right and at its end.
fn draw(tile: &Rgb, band: &mut [u8], row_bytes: usize, left: usize) {
    let tile_bytes = tile.width as usize * 3;
    let visible = tile_bytes.min(row_bytes - left);
    for (to, from) in band.chunks_mut(row_bytes).zip(tile.data.chunks(tile_bytes)) {
        to[left..left + visible].copy_from_slice(&from[..visible]);
    }
}

/// Rows, columns and size in pixels of a grid (ISO/IEC 23008-12, 6.6.2.3).
fn description(data: &[u8]) -> Result<(usize, usize, (u32, u32)), MediaError> {
    let word = |at: usize| data.get(at..at + 2).map(|b| u32::from(u16::from_be_bytes([b[0], b[1]])));
    let long = |at: usize| Some((word(at)? << 16) | word(at + 2)?);
    let read = || {
        let (flags, rows, columns) = (*data.get(1)?, *data.get(2)?, *data.get(3)?);
        let size = if flags & 1 == 0 { (word(4)?, word(6)?) } else { (long(4)?, long(8)?) };
        Some((usize::from(rows) + 1, usize::from(columns) + 1, size))
    };
    read().ok_or_else(|| malformed("heif picture", format!("a grid is described by {} bytes", data.len())))
}
