#!/bin/sh
# Appends suite and verdict of each run to a file.

# The first text called $1 in the request. Enough for texts without quotes and
# backslashes; jq reads all of them.
text() {
  printf '%s\n' "$request" | grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4
}

while IFS= read -r request; do
  case $request in
    '{"type":"start"'*)
      file=$(text file)
      echo '{"type":"ready"}'
      ;;
    '{"type":"process"'*)
      if echo "$(text suite) $(text verdict)" >>"$file"; then
        echo '{"type":"outcome","status":"done"}'
      else
        echo '{"type":"error","retryable":true,"message":"the file cannot be written"}'
      fi
      ;;
    '{"type":"stop"'*) exit 0 ;;
  esac
done
