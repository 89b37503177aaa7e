//! Values of columns as JSON scalars.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as PhysicalType};
use parquet::schema::types::ColumnDescPtr;
use semblance::corpus::RowFault;
use semblance_api::TextFault;
use serde_json::Value as Json;

use crate::command::rows::RowError;

/// What the values of a column mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// What their physical type says.
    Plain,
    /// Integers without a sign.
    Unsigned,
    /// Days since 1970.
    Date,
    /// Parts of a second since 1970: this many in a second.
    Time {
        a_second: i64,
        /// Whether the time zone is UTC.
        is_utc: bool,
    },
}

impl Form {
    /// Returns the meaning of a column; none if it is not supported.
    pub(super) fn of(column: &ColumnDescPtr) -> Option<Self> {
        let time = |unit: &TimeUnit, is_utc| Self::Time {
            a_second: match unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            },
            is_utc,
        };
        match (column.physical_type(), column.logical_type_ref(), column.converted_type()) {
            (_, Some(LogicalType::Decimal(_) | LogicalType::Time(_)), _)
            | (_, _, ConvertedType::DECIMAL | ConvertedType::TIME_MILLIS)
            | (_, _, ConvertedType::TIME_MICROS)
            | (PhysicalType::FIXED_LEN_BYTE_ARRAY, ..) => None,
            (PhysicalType::INT96, ..) => Some(time(&TimeUnit::MICROS, false)),
            (_, Some(LogicalType::Timestamp(timestamp)), _) => {
                Some(time(&timestamp.unit, timestamp.is_adjusted_to_u_t_c))
            }
            (_, None, ConvertedType::TIMESTAMP_MILLIS) => Some(time(&TimeUnit::MILLIS, true)),
            (_, None, ConvertedType::TIMESTAMP_MICROS) => Some(time(&TimeUnit::MICROS, true)),
            (_, Some(LogicalType::Date), _) | (_, _, ConvertedType::DATE) => Some(Self::Date),
            (_, Some(LogicalType::Integer(integer)), _) if !integer.is_signed => {
                Some(Self::Unsigned)
            }
            (_, _, ConvertedType::UINT_8 | ConvertedType::UINT_16)
            | (_, _, ConvertedType::UINT_32 | ConvertedType::UINT_64) => Some(Self::Unsigned),
            _ => Some(Self::Plain),
        }
    }
}

pub(super) fn from_i32(form: Form, value: i32) -> Json {
    match form {
        Form::Date => date(value.into()).into(),
        Form::Unsigned => value.cast_unsigned().into(),
        _ => value.into(),
    }
}

pub(super) fn from_i64(form: Form, value: i64) -> Json {
    match form {
        Form::Unsigned => value.cast_unsigned().into(),
        Form::Time { a_second, is_utc } => time(value, a_second, is_utc).into(),
        _ => value.into(),
    }
}

pub(super) fn from_f64(value: f64) -> Result<Json, RowError> {
    match value.is_finite() {
        true => Ok(value.into()),
        false => Err(RowFault::NotFinite.into()),
    }
}

pub(super) fn from_bytes(bytes: &[u8]) -> Result<Json, RowError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        RowError::Text(TextFault::NotUtf8 { offset_bytes: error.valid_up_to() })
    })?;
    Ok(text.into())
}

/// Writes a time as in RFC 3339. The number of digits depends on the unit only, so that texts sort as
/// times.
fn time(value: i64, a_second: i64, is_utc: bool) -> String {
    let (seconds, fraction) = (value.div_euclid(a_second), value.rem_euclid(a_second));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let digits = a_second.ilog10() as usize;
    let zone = if is_utc { "Z" } else { "" };
    format!("{}T{hour:02}:{minute:02}:{second:02}.{fraction:0digits$}{zone}", date(days))
}

/// Writes days since 1970 as a date of the Gregorian calendar.
///
/// Source: <https://howardhinnant.github.io/date_algorithms.html>, `civil_from_days`.
fn date(days: i64) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (47_541, "2100-03-01"),
            (-719_162, "0001-01-01"),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
        assert_eq!(time(1_709_210_096_789, 1_000, true), "2024-02-29T12:34:56.789Z");
        assert_eq!(time(-1, 1_000_000, false), "1969-12-31T23:59:59.999999");
    }
}
