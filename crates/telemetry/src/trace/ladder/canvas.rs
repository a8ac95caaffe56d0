//! Lines of characters, each with a colour.

use std::fmt::Write;

/// What a character is part of; its colour on a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Faint,
    Strong,
    Request,
    Good,
    Bad,
    Stanza,
    Decision,
}

impl Paint {
    const fn ansi(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Faint => "2",
            Self::Strong => "1",
            Self::Request => "36",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Stanza => "35",
            Self::Decision => "33",
        }
    }
}

/// One line at a time, then the text of all.
pub(super) struct Canvas {
    colour: bool,
    line: Vec<(char, Paint)>,
    text: String,
}

impl Canvas {
    pub(super) fn new(width: usize, colour: bool) -> Self {
        Self { colour, line: vec![BLANK; width], text: String::new() }
    }

    /// One character; beyond the edge it is not drawn, and a control character is drawn as a dot.
    fn draw(&mut self, at: usize, c: char, paint: Paint) {
        if let Some(cell) = self.line.get_mut(at) {
            *cell = (if c.is_control() { '·' } else { c }, paint);
        }
    }

    pub(super) fn put(&mut self, at: usize, c: char) {
        self.draw(at, c, Paint::Plain);
    }

    pub(super) fn text(&mut self, at: usize, text: &str, paint: Paint) {
        for (place, c) in text.chars().enumerate() {
            self.draw(at + place, c, paint);
        }
    }

    /// From rail to rail, the head before the rail that it points to.
    pub(super) fn arrow(&mut self, from: usize, to: usize, paint: Paint) {
        for at in from.min(to) + 1..from.max(to) {
            self.draw(at, '─', paint);
        }
        let (head, at) = if from < to { ('>', to - 1) } else { ('<', to + 1) };
        self.draw(at, head, paint);
    }

    pub(super) fn end_line(&mut self) {
        let end = self.line.iter().rposition(|cell| cell.0 != ' ').map_or(0, |last| last + 1);
        let mut paint = Paint::Plain;
        for (c, wanted) in self.line.iter().take(end) {
            if self.colour && *wanted != paint {
                paint = *wanted;
                let reset = if paint == Paint::Plain { "" } else { "0;" };
                let written = write!(self.text, "\x1b[{reset}{}m", paint.ansi());
                debug_assert_eq!(written, Ok(()), "a String takes everything");
            }
            self.text.push(*c);
        }
        if paint != Paint::Plain {
            self.text.push_str("\x1b[0m");
        }
        self.text.push('\n');
        self.line.fill(BLANK);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

const BLANK: (char, Paint) = (' ', Paint::Plain);
