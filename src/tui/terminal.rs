//! Takes the terminal over and gives it back: at the end, after a panic, and when it is told to stop.

use std::io::{self, Stdout, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc;

/// The terminal while it is ours. Dropping it gives it back.
pub struct Taken {
    /// What is drawn on.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    /// What broke in other threads, which goes on here.
    pub troubles: mpsc::UnboundedReceiver<String>,
    given_back: Arc<AtomicBool>,
}

impl Taken {
    /// Takes the terminal. From now on a panic of this thread gives it back before it is told; one of another thread is
    /// told in [`Taken::troubles`], since the screen is still in use.
    pub fn new(mouse: bool) -> io::Result<Self> {
        let given_back = Arc::new(AtomicBool::new(false));
        let (sender, troubles) = mpsc::unbounded_channel();
        enable_raw_mode()?;
        let taken = take(mouse).inspect_err(|_| give_back());
        let terminal = taken?;
        let (own, done) = (std::thread::current().id(), given_back.clone());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == own || done.load(Ordering::SeqCst) {
                if !done.swap(true, Ordering::SeqCst) {
                    give_back();
                }
                before(panic);
            } else {
                // Nobody listens any more: nothing to tell.
                let _ = sender.send(panic.to_string().replace('\n', " "));
            }
        }));
        Ok(Self { terminal, troubles, given_back })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.given_back.swap(true, Ordering::SeqCst) {
            give_back();
        }
    }
}

fn take(mouse: bool) -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
    if mouse {
        execute!(io::stdout(), EnableMouseCapture)?;
    }
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    terminal.clear()?;
    Ok(terminal)
}

/// Brings the terminal back as it was, as far as it lets us.
fn give_back() {
    let mut out = io::stdout();
    let _ = execute!(
        out,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        crossterm::cursor::Show
    );
    let _ = out.flush();
    let _ = disable_raw_mode();
}
