//! Tables as XLSX.
//!
//! A spreadsheet's number is a double, which holds 15 decimal digits exactly: amounts below a million
//! dollars to the nano-dollar. Greater ones lose their last digits in the cell, as in any spreadsheet's own
//! sums; CSV and JSON lines never do. They are numbers all the same, because a text would be left out of
//! sums without a word.

use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
};

use actix_web::web;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::{
    columns::Cell,
    table::{Rows, Table},
};
use crate::api::{ApiError, usage::instant};

/// A sheet has 1,048,576 rows, of which the first is the head.
const ROWS_PER_SHEET: u32 = 1_048_575;

/// A workbook that is being written.
struct Writer {
    workbook: Workbook,
    names: Vec<&'static str>,
    rows_per_sheet: u32,
    sheets: usize,
    /// The next row of the present sheet.
    next_row: u32,
    formats: Formats,
}

struct Formats {
    head: Format,
    money: Format,
    pln: Format,
    day: Format,
}

impl Writer {
    fn new(names: Vec<&'static str>, rows_per_sheet: u32) -> Result<Self, XlsxError> {
        let formats = Formats {
            head: Format::new().set_bold(),
            money: Format::new().set_num_format("0.00#######"),
            pln: Format::new().set_num_format("0.00"),
            day: Format::new().set_num_format("yyyy-mm-dd"),
        };
        let workbook = Workbook::new();
        let mut writer = Self { workbook, names, rows_per_sheet, sheets: 0, next_row: 0, formats };
        writer.add_sheet()?;
        Ok(writer)
    }

    /// A sheet whose rows go to disk as they are written.
    fn add_sheet(&mut self) -> Result<(), XlsxError> {
        let sheet = self.workbook.add_worksheet_with_constant_memory()?;
        sheet.set_freeze_panes(1, 0)?;
        for (column, name) in (0_u16..).zip(&self.names) {
            sheet.set_column_width(column, u32::try_from(name.len()).unwrap_or(0).max(10) + 4)?;
        }
        for (column, name) in (0_u16..).zip(&self.names) {
            sheet.write_string_with_format(0, column, *name, &self.formats.head)?;
        }
        self.sheets += 1;
        self.next_row = 1;
        Ok(())
    }

    fn write(&mut self, rows: &Rows) -> Result<(), XlsxError> {
        for row in rows {
            if self.next_row > self.rows_per_sheet {
                self.add_sheet()?;
            }
            let sheet = self.workbook.worksheet_from_index(self.sheets - 1)?;
            for (column, cell) in (0_u16..).zip(row) {
                put(sheet, (self.next_row, column), cell, &self.formats)?;
            }
            self.next_row += 1;
        }
        Ok(())
    }

    /// The whole file, to be read from its beginning.
    fn finish(mut self) -> Result<File, XlsxError> {
        let mut file = BufWriter::new(tempfile::tempfile()?);
        self.workbook.save_to_writer(&mut file)?;
        file.flush()?;
        let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(file)
    }
}

fn put(
    sheet: &mut Worksheet,
    (row, column): (u32, u16),
    cell: &Cell,
    formats: &Formats,
) -> Result<(), XlsxError> {
    match cell {
        Cell::Text(text) => sheet.write_string(row, column, text)?,
        Cell::Number(number) => sheet.write_number(row, column, double(&number.to_string()))?,
        Cell::Usd(amount) => {
            sheet.write_number_with_format(row, column, double(&amount.to_string()), &formats.money)?
        }
        Cell::Pln(amount) => {
            sheet.write_number_with_format(row, column, double(&amount.to_string()), &formats.pln)?
        }
        Cell::Decimal(decimal) => sheet.write_number(row, column, double(decimal))?,
        Cell::Day(day) => match ExcelDateTime::parse_from_str(&day.to_string()) {
            Ok(date) => sheet.write_datetime_with_format(row, column, &date, &formats.day)?,
            // A spreadsheet's calendar begins in 1900.
            Err(_) => sheet.write_string(row, column, day.to_string())?,
        },
        Cell::Instant(at) => sheet.write_string(row, column, instant(*at))?,
        Cell::Flag(flag) => sheet.write_boolean(row, column, *flag)?,
        Cell::Nothing => return Ok(()),
    };
    Ok(())
}

/// The double that is nearest to a decimal text of ours.
fn double(decimal: &str) -> f64 {
    decimal.parse().unwrap_or(f64::NAN)
}

/// The table as a file without a name, to be read from its beginning. Whoever waits for it no longer stops
/// the work with the page that is being written.
pub(super) async fn file(mut table: Table) -> Result<File, ApiError> {
    let names = table.names.clone();
    let mut writer = blocking(move || Writer::new(names, ROWS_PER_SHEET)).await?;
    while let Some(rows) = table.next().await? {
        writer = blocking(move || {
            writer.write(&rows)?;
            Ok(writer)
        })
        .await?;
    }
    blocking(move || writer.finish()).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, XlsxError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = web::block(work).await.map_err(|error| ApiError::internal(&error, None))?;
    done.map_err(|error| ApiError::internal(&error, None))
}

#[cfg(test)]
mod tests {
    use mai_primitives::Usd;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What the documentation promises of cells.
        #[test]
        fn amounts_below_a_million_dollars_come_back_exactly(nanos in -999_999_999_999_999_i64..=999_999_999_999_999) {
            let amount = Usd::from_nanos(nanos);
            // The shortest text that names the double, as the file has it.
            let written = double(&amount.to_string()).to_string();
            prop_assert_eq!(Usd::parse(&written), Ok(amount));
        }
    }

    #[test]
    fn rows_that_one_sheet_cannot_hold_go_on_in_the_next() {
        let mut writer = Writer::new(vec!["a"], 3).unwrap();
        for number in 0..4 {
            writer.write(&vec![vec![Cell::Number(number)], vec![Cell::Nothing]]).unwrap();
        }
        assert_eq!((writer.sheets, writer.next_row), (3, 3));
        let file = writer.finish().unwrap();
        assert!(file.metadata().unwrap().len() > 1_000);
    }
}
