//! What a command prints. A reader that went away (`cusax … | head`) is no error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use owo_colors::OwoColorize;

/// Prints to standard output.
///
/// # Errors
///
/// The output cannot be written and its reader is still there: a full disk.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// Prints a value as JSON, indented, to standard output.
///
/// # Errors
///
/// As [`print()`].
pub(crate) fn print_json(value: &serde_json::Value) -> io::Result<()> {
    print(&format!("{value:#}\n"))
}

/// Prints to standard error; there is nowhere to tell that this failed.
pub(crate) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Prints an error with its causes to standard error.
pub(crate) fn tell_error(error: &anyhow::Error) {
    let word = if colours_on_stderr() { "error:".red().bold().to_string() } else { "error:".to_owned() };
    tell(&format!("{word} {error:#}\n"));
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// How many columns standard output has.
pub(crate) fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0))
}

/// Whether standard output is a terminal that may be coloured.
pub(crate) fn colours_on_stdout() -> bool {
    is_terminal() && colours_wanted()
}

/// Whether standard error is a terminal that may be coloured.
pub(crate) fn colours_on_stderr() -> bool {
    io::stderr().is_terminal() && colours_wanted()
}

/// See <https://no-color.org>.
fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns where there is no terminal.
const WIDTH: usize = 120;
