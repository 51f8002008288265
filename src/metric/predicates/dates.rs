//! `is_date(c, 'format')`.

use std::fmt::Write;

use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use chrono::{DateTime, NaiveDate};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::text;

const ISO: &str = "%Y-%m-%d";

/// Says why `format` is no strftime format of a date, on one line.
///
/// # Errors
///
/// An unknown specifier, or a format that does not determine a date, such as `%Y-%m`.
pub fn check_date_format(format: &str) -> Result<(), String> {
    if StrftimeItems::new(format).any(|item| item == Item::Error) {
        return Err("not a date format: unknown specifier".to_owned());
    }
    let sample = DateTime::from_timestamp(1_709_208_000, 0).expect("it is a moment of 2024");
    let mut text = String::new();
    let written = write!(text, "{}", sample.format(format));
    let read = NaiveDate::parse_from_str(&text, format);
    if written.is_ok() && read == Ok(sample.date_naive()) {
        Ok(())
    } else {
        Err("not a date format: it does not give year, month and day".to_owned())
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IsDate {
    signature: Signature,
}

impl IsDate {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for IsDate {
    fn name(&self) -> &str {
        "is_date"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if !(1..=2).contains(&arg_types.len()) {
            return plan_err!("`is_date` takes 1 or 2 arguments, not {}", arg_types.len());
        }
        let texts = arg_types.iter().map(|arg| text::text_type("is_date", arg));
        texts.collect()
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.scalar_arguments.get(1) {
            None => {}
            Some(None) => return plan_err!("the second argument of `is_date` is a literal format"),
            Some(Some(format)) => {
                if let Some(format) = format.try_as_str().flatten() {
                    check_date_format(format)
                        .map_err(|error| plan_datafusion_err!("`{format}`: {error}"))?;
                }
            }
        }
        Ok(Field::new(self.name(), DataType::Boolean, true).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let format = match args.args.get(1).map(text::literal) {
            None => ISO,
            Some(Some(Some(format))) => format,
            Some(Some(None)) => return Ok(text::unknown()),
            Some(None) => return plan_err!("the second argument of `is_date` is a literal format"),
        };
        let format = Format::new(format);
        text::test_each(&args.args[0], |text| format.is_date(text))
    }
}

struct Format<'a> {
    format: &'a str,
    items: Vec<Item<'a>>,
    /// Whether a date is all there is, so that it can be written again.
    date_only: bool,
}

impl<'a> Format<'a> {
    fn new(format: &'a str) -> Self {
        let items: Vec<_> = StrftimeItems::new(format).collect();
        let date_only = items.iter().all(|item| match item {
            Item::Literal(_) | Item::OwnedLiteral(_) | Item::Space(_) | Item::OwnedSpace(_) => true,
            Item::Numeric(numeric, _) => !matches!(
                numeric,
                Numeric::Hour
                    | Numeric::Hour12
                    | Numeric::Minute
                    | Numeric::Second
                    | Numeric::Nanosecond
                    | Numeric::Timestamp
            ),
            Item::Fixed(fixed) => matches!(
                fixed,
                Fixed::ShortMonthName
                    | Fixed::LongMonthName
                    | Fixed::ShortWeekdayName
                    | Fixed::LongWeekdayName
            ),
            Item::Error => false,
        });
        Self {
            format,
            items,
            date_only,
        }
    }

    /// chrono reads ` 2024-1-5` with `%Y-%m-%d` too, other programs do not. So a date must be
    /// as the format would write it, but for upper and lower case.
    fn is_date(&self, text: &str) -> bool {
        if self.format == ISO && text.len() == 10 {
            return is_iso_date(text.as_bytes());
        }
        let Ok(date) = NaiveDate::parse_from_str(text, self.format) else {
            return false;
        };
        if !self.date_only {
            return text.trim() == text;
        }
        let mut written = String::with_capacity(text.len());
        write!(written, "{}", date.format_with_items(self.items.iter())).is_ok()
            && written.eq_ignore_ascii_case(text)
    }
}

fn is_iso_date(text: &[u8]) -> bool {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u32::from(digit - b'0'))
        })
    };
    let [year @ .., b'-', m1, m2, b'-', d1, d2] = text else {
        return false;
    };
    match (number(year), number(&[*m1, *m2]), number(&[*d1, *d2])) {
        (Some(year), Some(month), Some(day)) => {
            NaiveDate::from_ymd_opt(year.cast_signed(), month, day).is_some()
        }
        _ => false,
    }
}
