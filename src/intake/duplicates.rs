//! Which rows repeat a number that stands earlier in the file: exactly, and in bounded memory.
//!
//! Pairs of number and row are sorted in memory up to a limit, spilled to temporary files, and merged; the rows that
//! repeat are sorted again by row, so that a second pass over the file can follow them. The first occurrence wins.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
};

/// How many pairs are held in memory before they are spilled: 4 MiB of them.
pub const IN_MEMORY: usize = 1 << 18;

/// Collects the numbers of a first pass.
#[derive(Debug)]
pub struct DuplicateFinder {
    pairs: Sorter<2>,
}

impl Default for DuplicateFinder {
    fn default() -> Self {
        Self::with_limit(IN_MEMORY)
    }
}

impl DuplicateFinder {
    /// One that holds at most so many pairs in memory (at least one).
    pub fn with_limit(limit: usize) -> Self {
        Self { pairs: Sorter::new(limit) }
    }

    /// Notes a valid row. `row` is any number that names the row and ascends with the file.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub fn push(&mut self, number: u64, row: u64) -> io::Result<()> {
        self.pairs.push([number, row])
    }

    /// Finds the repeats.
    ///
    /// # Errors
    /// A temporary file cannot be written or read.
    pub fn finish(self) -> io::Result<Duplicates> {
        let mut rows = RowSet::with_limit(self.pairs.limit);
        let mut merge = self.pairs.merge()?;
        let mut before = None;
        while let Some([number, row]) = merge.next()? {
            if before.replace(number) == Some(number) {
                rows.push(row)?;
            }
        }
        Ok(Duplicates { rows })
    }
}

/// The rows that repeat a number of an earlier row.
#[derive(Debug)]
pub struct Duplicates {
    rows: RowSet,
}

impl Duplicates {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.rows.count()
    }

    /// To be asked row by row, in the order of the file.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn into_cursor(self) -> io::Result<DuplicateCursor> {
        self.rows.into_cursor().map(|rows| DuplicateCursor { rows })
    }
}

/// Follows the duplicates through a second pass.
#[derive(Debug)]
pub struct DuplicateCursor {
    rows: RowCursor,
}

impl DuplicateCursor {
    /// Whether this row repeats an earlier one. Rows must be asked for in ascending order.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn is_duplicate(&mut self, row: u64) -> io::Result<bool> {
        self.rows.contains(row)
    }
}

/// A set of rows that may be larger than memory, to be followed in ascending order.
#[derive(Debug)]
pub struct RowSet {
    rows: Sorter<1>,
}

impl RowSet {
    /// One that holds at most so many rows in memory (at least one).
    pub fn with_limit(limit: usize) -> Self {
        Self { rows: Sorter::new(limit) }
    }

    /// Adds a row, in whatever order.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub fn push(&mut self, row: u64) -> io::Result<()> {
        self.rows.push([row])
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.rows.count
    }

    /// To be asked row by row.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn into_cursor(self) -> io::Result<RowCursor> {
        let mut merge = self.rows.merge()?;
        Ok(RowCursor { next: merge.next()?, merge })
    }
}

/// Follows a [`RowSet`].
#[derive(Debug)]
pub struct RowCursor {
    merge: Merge<1>,
    next: Option<[u64; 1]>,
}

impl RowCursor {
    /// Whether the row is in the set. Rows must be asked for in ascending order.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn contains(&mut self, row: u64) -> io::Result<bool> {
        while let Some([next]) = self.next
            && next < row
        {
            self.next = self.merge.next()?;
        }
        Ok(self.next == Some([row]))
    }
}

/// Sorts records of `W` numbers: in memory while they fit, else in sorted runs on disk.
#[derive(Debug)]
struct Sorter<const W: usize> {
    limit: usize,
    held: Vec<[u64; W]>,
    runs: Vec<File>,
    count: u64,
}

impl<const W: usize> Sorter<W> {
    fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), held: Vec::new(), runs: Vec::new(), count: 0 }
    }

    fn push(&mut self, record: [u64; W]) -> io::Result<()> {
        self.held.push(record);
        self.count += 1;
        if self.held.len() >= self.limit { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile()?);
        for number in self.held.drain(..).flatten() {
            file.write_all(&number.to_le_bytes())?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    fn merge(mut self) -> io::Result<Merge<W>> {
        self.held.sort_unstable();
        let mut runs = vec![Run::Memory(self.held.into_iter())];
        runs.extend(self.runs.into_iter().map(|file| Run::Disk(BufReader::new(file))));
        let mut heap = BinaryHeap::with_capacity(runs.len());
        for (place, run) in runs.iter_mut().enumerate() {
            heap.extend(run.next()?.map(|record| Reverse((record, place))));
        }
        Ok(Merge { runs, heap })
    }
}

/// One sorted run.
#[derive(Debug)]
enum Run<const W: usize> {
    Memory(std::vec::IntoIter<[u64; W]>),
    Disk(BufReader<File>),
}

impl<const W: usize> Run<W> {
    fn next(&mut self) -> io::Result<Option<[u64; W]>> {
        let file = match self {
            Self::Memory(records) => return Ok(records.next()),
            Self::Disk(file) => file,
        };
        let mut record = [0; W];
        for number in &mut record {
            let mut bytes = [0; 8];
            match file.read_exact(&mut bytes) {
                Ok(()) => *number = u64::from_le_bytes(bytes),
                // Runs hold whole records: the end comes only before one.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(record))
    }
}

/// All runs as one, in ascending order.
#[derive(Debug)]
struct Merge<const W: usize> {
    runs: Vec<Run<W>>,
    heap: BinaryHeap<Reverse<([u64; W], usize)>>,
}

impl<const W: usize> Merge<W> {
    fn next(&mut self) -> io::Result<Option<[u64; W]>> {
        let Some(Reverse((record, place))) = self.heap.pop() else { return Ok(None) };
        let following = self.runs[place].next()?;
        self.heap.extend(following.map(|next| Reverse((next, place))));
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spilling_happens_at_the_limit() {
        let mut finder = DuplicateFinder::with_limit(2);
        for row in 0..7 {
            finder.push(row % 3, row).unwrap();
        }
        assert_eq!((finder.pairs.runs.len(), finder.pairs.held.len()), (3, 1));
        assert_eq!(finder.finish().unwrap().count(), 4);
        assert_eq!(DuplicateFinder::default().finish().unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn the_same_rows_as_with_a_set_in_memory(
            numbers in proptest::collection::vec(0u64..20, 0..120),
            limit in 0usize..10,
            step in 1u64..4,
        ) {
            let mut finder = DuplicateFinder::with_limit(limit);
            let rows: Vec<(u64, u64)> = numbers.iter().zip(0..).map(|(number, place)| (*number, 2 + place * step)).collect();
            for (number, row) in &rows {
                finder.push(*number, *row).unwrap();
            }
            let duplicates = finder.finish().unwrap();
            let mut seen = HashSet::new();
            let expected: Vec<bool> = rows.iter().map(|(number, _)| !seen.insert(number)).collect();
            prop_assert_eq!(duplicates.count(), expected.iter().filter(|repeat| **repeat).count() as u64);
            let mut cursor = duplicates.into_cursor().unwrap();
            for ((_, row), repeat) in rows.iter().zip(expected) {
                prop_assert_eq!(cursor.is_duplicate(*row).unwrap(), repeat);
            }
        }
    }
}
