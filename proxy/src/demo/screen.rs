use std::io;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, LineGauge, Paragraph};

use super::board::Board;
use crate::route::Cohort;

/// Something that shows a board.
pub trait View {
    /// How often it wants to.
    fn every(&self) -> Duration;

    /// Shows it. False when the viewer has seen enough.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be written to.
    fn show(&mut self, board: &Board) -> io::Result<bool>;
}

/// The whole terminal: curves, and bars of traffic.
#[derive(Debug)]
pub struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal over; it is given back when this is dropped.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

impl View for Screen {
    fn every(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn show(&mut self, board: &Board) -> io::Result<bool> {
        self.0.draw(|frame| draw(frame, board))?;
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()? {
                let interrupt =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if interrupt || key.code == KeyCode::Char('q') {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Plain lines, where there is no terminal.
#[derive(Debug, Default)]
pub struct Lines;

impl View for Lines {
    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn show(&mut self, board: &Board) -> io::Result<bool> {
        println!("{}", line(board));
        Ok(true)
    }
}

/// Shows nothing at all.
#[derive(Debug, Default)]
pub struct Nothing;

impl View for Nothing {
    fn every(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn show(&mut self, _: &Board) -> io::Result<bool> {
        Ok(true)
    }
}

fn line(board: &Board) -> String {
    let last = |cohort| match board.curve(cohort).last() {
        Some((_, share)) => format!("{share:4.1} %"),
        None => "   -  ".to_owned(),
    };
    let traffic = board.traffic();
    let busiest = traffic.iter().take(3).map(|(language, arms)| {
        let most = arms.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        most.map_or(String::new(), |(arm, share)| {
            format!("{language}: {arm} {:.0} %", share * 100.0)
        })
    });
    let answers = board.total(Cohort::Treatment).answers + board.total(Cohort::Control).answers;
    format!(
        "{:3.0} s  {answers:6} answers  taken: learned {}, uniform {}  |  {}",
        board.elapsed().as_secs_f64(),
        last(Cohort::Treatment),
        last(Cohort::Control),
        busiest.collect::<Vec<_>>().join(", ")
    )
}

fn draw(frame: &mut Frame<'_>, board: &Board) {
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(8),
        Constraint::Length(1),
    ]);
    let [head, body, foot] = rows.areas(frame.area());
    let columns = Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]);
    let [left, right] = columns.areas(body);
    let gauge = LineGauge::default()
        .label(format!(
            "echo-proxy demo  {:3.0} s",
            board.elapsed().as_secs_f64()
        ))
        .ratio(board.share_done())
        .filled_style(Style::new().fg(LEARNED));
    frame.render_widget(gauge, head);
    draw_curves(frame, left, board);
    draw_traffic(frame, right, board);
    frame.render_widget(Paragraph::new(foot_line(board)), foot);
}

const LEARNED: Color = Color::Green;
const UNIFORM: Color = Color::DarkGray;
const ARMS: [Color; 6] = [
    Color::Cyan,
    Color::Yellow,
    Color::Magenta,
    Color::Blue,
    Color::Red,
    Color::White,
];

fn draw_curves(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let (learned, uniform) = (board.curve(Cohort::Treatment), board.curve(Cohort::Control));
    let top = learned
        .iter()
        .chain(&uniform)
        .map(|point| point.1)
        .fold(10.0, f64::max)
        * 1.15;
    let seconds = board.length_s();
    let curve = |name: &'static str, color, data| {
        let dataset = Dataset::default().name(name).marker(Marker::Braille);
        dataset
            .graph_type(GraphType::Line)
            .style(Style::new().fg(color))
            .data(data)
    };
    let chart = Chart::new(vec![
        curve("uniform", UNIFORM, &uniform),
        curve("learned", LEARNED, &learned),
    ])
    .block(Block::bordered().title(" proposals taken, % of answers "))
    .x_axis(
        Axis::default()
            .bounds([0.0, seconds])
            .labels(["0 s".to_owned(), format!("{seconds:.0} s")]),
    )
    .y_axis(
        Axis::default()
            .bounds([0.0, top])
            .labels(["0".to_owned(), format!("{top:.0}")]),
    );
    frame.render_widget(chart, area);
}

fn draw_traffic(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let block = Block::bordered().title(" where the learned policy sends requests ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let traffic = board.traffic();
    let mut names: Vec<&str> = traffic
        .iter()
        .flat_map(|(_, arms)| arms.iter().map(|(arm, _)| arm.as_str()))
        .collect();
    names.sort_unstable();
    names.dedup();
    let color =
        |arm: &str| ARMS[names.iter().position(|name| *name == arm).unwrap_or(0) % ARMS.len()];
    let legend = names.iter().flat_map(|arm| {
        [
            Span::raw("■ ").fg(color(arm)),
            Span::raw(format!("{arm}  ")),
        ]
    });
    let mut lines = vec![legend.collect::<Line<'_>>(), Line::default()];
    let width = usize::from(inner.width.saturating_sub(LANGUAGE_CHARS + 1));
    for (language, arms) in &traffic {
        let mut spans = vec![Span::raw(format!("{language:<12.12} "))];
        for (arm, share) in arms {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a width"
            )]
            let cells = (share * width as f64).round() as usize;
            spans.push(Span::raw("█".repeat(cells)).fg(color(arm)));
        }
        lines.push(Line::from(spans));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

const LANGUAGE_CHARS: u16 = 12;

fn foot_line(board: &Board) -> Line<'static> {
    let share = |cohort| {
        board
            .total(cohort)
            .taken_share()
            .map_or(0.0, |share| share * 100.0)
    };
    let (learned, uniform) = (Cohort::Treatment, Cohort::Control);
    Line::from(vec![
        Span::raw(format!("learned: {:.1} % taken", share(learned))).fg(LEARNED),
        Span::raw(format!("   uniform: {:.1} %", share(uniform))).fg(UNIFORM),
        Span::raw("   q ends it"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::board::tests::board;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn draws_curves_traffic_and_totals() {
        let mut terminal = Terminal::new(TestBackend::new(100, 20)).unwrap();
        let board = board();
        terminal.draw(|frame| draw(frame, &board)).unwrap();
        let text: String = terminal
            .backend()
            .buffer()
            .content()
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        for expected in ["proposals taken", "rust", "file", "33.3 % taken", "█"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn says_the_same_in_plain_lines() {
        let line = line(&board());
        assert!(line.contains("learned 33.3 %, uniform  0.0 %"), "{line}");
        assert!(line.contains("rust: file 100 %"), "{line}");
    }
}
