# 0: good, 125: cannot be judged, anything else below 128: bad
python -B -c "import grades" 2> /dev/null || exit 125
python -B -c "import grades; assert grades.passed(80)" 2> /dev/null
