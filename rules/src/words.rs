//! A line as words: between blanks, or in double quotes. A comma at the end of a
//! word is one of its own.

use crate::problem::Problem;

/// A word and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Without quotes.
    pub text: String,
    /// The character, from 1.
    pub column: usize,
    /// In quotes no word is a keyword.
    pub(crate) quoted: bool,
}

impl Word {
    /// This very keyword.
    pub fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword
    }
}

/// The words of a line, and how many of them were read.
#[derive(Debug)]
pub struct Words {
    all: Vec<Word>,
    at: usize,
    /// Behind the last one.
    end: usize,
}

impl Words {
    /// Reads a line.
    ///
    /// # Errors
    /// Where it has what is no word.
    pub fn of(line: &str) -> Result<Self, Problem> {
        let mut all = Vec::new();
        let mut rest = line.chars().enumerate().peekable();
        let end = line.chars().count() + 1;
        while let Some((at, first)) = rest.peek().copied() {
            if first.is_control() && first != '\t' {
                return Err(Problem::at(at + 1, "a control character"));
            }
            match first {
                ' ' | '\t' => _ = rest.next(),
                '"' => {
                    rest.next();
                    all.push(quoted(at + 1, &mut rest)?);
                }
                _ => bare(at + 1, &mut rest, &mut all)?,
            }
        }
        Ok(Self { all, at: 0, end })
    }

    /// The next word, which stays.
    pub fn peek(&self) -> Option<&Word> {
        self.all.get(self.at)
    }

    /// Where the next word is, or would be.
    pub fn column(&self) -> usize {
        self.peek().map_or(self.end, |word| word.column)
    }

    /// The next word, which has to be there.
    ///
    /// # Errors
    /// It is not.
    pub fn next(&mut self, wanted: &str) -> Result<Word, Problem> {
        let word = self.all.get(self.at).cloned();
        let word = word.filter(|word| !word.is(","));
        let word = word.ok_or_else(|| Problem::at(self.column(), format!("expected {wanted}")))?;
        self.at += 1;
        Ok(word)
    }

    /// Takes the next word if it is this keyword.
    pub fn take(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.is(keyword));
        self.at += usize::from(found);
        found
    }

    /// The next word has to be one of these.
    ///
    /// # Errors
    /// It is not.
    pub fn keyword<'k>(&mut self, keywords: &[&'k str]) -> Result<&'k str, Problem> {
        let found = keywords.iter().find(|keyword| self.take(keyword));
        found.copied().ok_or_else(|| {
            let column = self.column();
            let wanted = keywords.join(", ");
            Problem::at(column, format!("expected {wanted}{}", self.instead()))
        })
    }

    fn instead(&self) -> String {
        match self.peek() {
            Some(word) => format!(", not {}", crate::problem::shown(&word.text)),
            None => ", and the line ends here".into(),
        }
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// Something does.
    pub fn end(&self) -> Result<(), Problem> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(Problem::at(
                word.column,
                format!(
                    "expected a comma or the end of the line{}; a value with blanks is put in double quotes",
                    self.instead()
                ),
            )),
        }
    }
}

type Rest<'a> = std::iter::Peekable<std::iter::Enumerate<std::str::Chars<'a>>>;

fn quoted(column: usize, rest: &mut Rest<'_>) -> Result<Word, Problem> {
    let mut text = String::new();
    while let Some((at, next)) = rest.next() {
        match next {
            '"' => {
                let quoted = true;
                let word = Word {
                    text,
                    column,
                    quoted,
                };
                return match rest.peek() {
                    None | Some((_, ' ' | '\t' | ',')) => Ok(word),
                    Some((at, _)) => Err(Problem::at(at + 1, "expected a blank after the quotes")),
                };
            }
            '\\' => match rest.peek() {
                // Any other one stands for itself: patterns have many.
                Some((_, '"' | '\\')) => text.extend(rest.next().map(|(_, c)| c)),
                _ => text.push('\\'),
            },
            c if c.is_control() => return Err(Problem::at(at + 1, "a control character")),
            c => text.push(c),
        }
    }
    Err(Problem::at(column, "these quotes do not end"))
}

fn bare(column: usize, rest: &mut Rest<'_>, all: &mut Vec<Word>) -> Result<(), Problem> {
    let mut text = String::new();
    let mut length = 0;
    while let Some((at, next)) = rest.next_if(|(_, c)| !matches!(c, ' ' | '\t')) {
        if next == '"' && length > 0 {
            let what = "quotes begin a word, they do not stand in one";
            return Err(Problem::at(at + 1, what));
        }
        if next.is_control() {
            return Err(Problem::at(at + 1, "a control character"));
        }
        text.push(next);
        length += 1;
    }
    let comma = text.len() > 1 && text.ends_with(',');
    if comma {
        text.pop();
    }
    let quoted = false;
    all.push(Word {
        text,
        column,
        quoted,
    });
    if comma {
        all.push(Word {
            text: ",".into(),
            column: column + length - 1,
            quoted,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<(String, usize)> {
        let words = Words::of(line).expect("words").all;
        words.into_iter().map(|w| (w.text, w.column)).collect()
    }

    #[test]
    fn words_and_where_they_are() {
        let expected = [
            ("a", 1),
            ("b c", 4),
            (",", 9),
            ("ü", 11),
            (",", 12),
            (",", 14),
        ];
        let expected = expected.map(|(word, column)| (word.to_owned(), column));
        assert_eq!(words("a  \"b c\", ü, ,"), expected);
        assert_eq!(words(r#" "a\"\\\d" "#), [(r#"a"\\d"#.to_owned(), 2)]);
        assert_eq!(words("a{1,2}"), [("a{1,2}".to_owned(), 1)]);
    }

    #[test]
    fn what_is_no_word() {
        for (line, column) in [("a \"b", 3), ("a\"b", 2), ("\"a\"b", 4), ("a\u{7}", 2)] {
            let Err(problem) = Words::of(line) else {
                panic!("{line}: no problem");
            };
            assert_eq!(problem.column, column, "{line}");
        }
    }
}
