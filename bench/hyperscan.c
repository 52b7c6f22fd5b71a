/* Counts the lines in which any of the given patterns matches, with Hyperscan: blocks of 256 KiB of whole
 * lines. cc -O3 bench/hyperscan.c -I/usr/include/hs -lhs -o hyperscan; ./hyperscan PATTERNS FILE */
#define _GNU_SOURCE
#include <fcntl.h>
#include <hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, MOST = 8192 };
static char buffer[CHUNK + 1];
static unsigned long long lines;
static unsigned long long seen_to;

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
  (void)id, (void)from, (void)flags, (void)context;
  if (to <= seen_to) return 0;
  lines++;
  const char *end = memchr(buffer + to - 1, '\n', CHUNK - to + 1);
  seen_to = end ? (unsigned long long)(end - buffer) + 1 : CHUNK;
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  static char *sources[MOST];
  static const char *patterns[MOST];
  static unsigned flags[MOST], ids[MOST];
  unsigned count = 0, refused = 0;
  char *line = NULL;
  size_t room = 0;
  FILE *list = fopen(argv[1], "r");
  if (!list) return 2;
  for (ssize_t n; count < MOST && (n = getline(&line, &room, list)) > 0;) {
    line[strcspn(line, "\n")] = 0;
    hs_database_t *one;
    hs_compile_error_t *error;
    unsigned wanted = HS_FLAG_MULTILINE | HS_FLAG_ALLOWEMPTY;
    if (hs_compile(line, wanted, HS_MODE_BLOCK, NULL, &one, &error) != HS_SUCCESS) { refused++; hs_free_compile_error(error); continue; }
    hs_free_database(one);
    sources[count] = strdup(line);
    patterns[count] = sources[count];
    flags[count] = wanted;
    ids[count] = count;
    count++;
  }
  hs_database_t *database;
  hs_compile_error_t *error;
  if (hs_compile_multi(patterns, flags, ids, count, HS_MODE_BLOCK, NULL, &database, &error) != HS_SUCCESS) return 3;
  hs_scratch_t *scratch = NULL;
  if (hs_alloc_scratch(database, &scratch) != HS_SUCCESS) return 3;
  int fd = open(argv[2], O_RDONLY);
  size_t used = 0;
  for (ssize_t n; (n = read(fd, buffer + used, CHUNK - used)) > 0;) {
    used += n;
    char *last = memrchr(buffer, '\n', used);
    size_t end = last ? (size_t)(last - buffer) + 1 : used;
    seen_to = 0;
    hs_scan(database, buffer, end, 0, scratch, on_match, NULL);
    memmove(buffer, buffer + end, used - end);
    used -= end;
  }
  printf("%llu lines, %u patterns, %u refused\n", lines, count, refused);
  return 0;
}
