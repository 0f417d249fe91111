//! How the decoder takes a row.

/// Position id and expert id of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The rotary position. Several rows may share one.
    pub id: u32,
    /// Which of the family's sets of weights the row goes through; 0 is that of text.
    pub expert: u8,
}

impl Position {
    /// A row of text at position `id`.
    pub fn text(id: u32) -> Self {
        Position { id, expert: 0 }
    }

    /// The first generated token after this row.
    pub fn next(self) -> Self {
        Position::text(self.id + 1)
    }
}
