# From ferflow's tables to statistics in R. A test runs this script where R is installed.
#
#   Rscript docs/r_users.R out
#
# Needs the package arrow; nlme comes with R. What the columns mean: docs/tables.md; definitions: docs/numbers.md.

out <- commandArgs(trailingOnly = TRUE)[1]
library(arrow)

# All sessions: a row per second and person; person_id is NA in the rows of the audience.
read_all <- function(name) {
  files <- list.files(file.path(out, name), pattern = "\\.parquet$", full.names = TRUE)
  if (length(files) == 0) return(NULL)
  do.call(rbind, lapply(files, function(file) as.data.frame(read_parquet(file))))
}
timeline <- read_all("timeline")
people <- timeline[!is.na(timeline$person_id) & !is.na(timeline$engagement), ]

# Engagement per session and person, as pages have it: weighted by the time in which the face can be read.
people$product <- people$engagement * people$readable_s
by_person <- aggregate(cbind(product, readable_s) ~ video_id + person_id, data = people, FUN = sum)
by_person$engagement <- by_person$product / by_person$readable_s
by_person$product <- NULL
write.csv(by_person[order(by_person$video_id, by_person$person_id), ], stdout(), row.names = FALSE)

# Before and after each marker of a moment, per person; people differ, so each has an intercept of their own.
markers <- read_all("markers")
if (!is.null(markers)) {
  markers <- markers[is.na(markers$end_s) & markers$kind != "rest", c("video_id", "label", "time_s")]
  joined <- merge(markers, people, by = "video_id")
  lag <- joined$bin_start_s - joined$time_s
  joined <- joined[abs(lag) <= 5, ]
  joined$after <- (joined$bin_start_s >= joined$time_s) * 1
  joined$who <- paste(joined$video_id, joined$person_id)
  sums <- aggregate(cbind(product, readable_s) ~ who + label + time_s + after, data = joined, FUN = sum)
  sums$engagement <- sums$product / sums$readable_s
  if (length(unique(sums$who)) >= 5) {
    library(nlme)
    message(paste(capture.output(summary(lme(engagement ~ after, random = ~ 1 | who, data = sums))), collapse = "\n"))
  }
}
