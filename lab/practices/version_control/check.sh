# Tell git bisect about one commit: 0 good, 1 bad, 125 cannot say.
python -B -c "import grades" 2> errors.txt || exit 125
python -B -c "import grades; assert grades.passed(80)" 2> errors.txt
