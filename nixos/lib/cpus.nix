# CPU lists as the kernel writes them ("0,2-5"), and what follows from classes of CPUs. Pure; numbers are logical CPUs,
# lists are sorted and without repetition.
{ lib }:
let
  inherit (lib)
    all
    any
    concatMap
    elem
    filter
    foldl'
    head
    last
    length
    range
    sort
    splitString
    toInt
    unique
    ;

  sorted = list: sort (a: b: a < b) (unique list);

  # The part "3" or "2-15" as a list; anything else fails, with its text.
  part =
    text:
    let
      bounds = builtins.match "(0|[1-9][0-9]*)(-(0|[1-9][0-9]*))?" text;
      first = toInt (head bounds);
      end = builtins.elemAt bounds 2;
      final = if end == null then first else toInt end;
    in
    if bounds == null then
      throw "${text} is no CPU and no range of CPUs: write lists as 0,2-5"
    else if final < first then
      throw "${text} is a range that ends before it begins"
    else
      range first final;

  # Runs of neighbours, each as [ first last ].
  runs = foldl' (
    done: cpu:
    if done != [ ] && last (last done) + 1 == cpu then
      lib.init done
      ++ [
        [
          (head (last done))
          cpu
        ]
      ]
    else
      done
      ++ [
        [
          cpu
          cpu
        ]
      ]
  ) [ ];

  digits = lib.stringToCharacters "0123456789abcdef";
  nibble =
    list: at:
    foldl' (
      sum: bit: sum + (if elem (4 * at + bit) list then builtins.elemAt [ 1 2 4 8 ] bit else 0)
    ) 0 (range 0 3);
in
rec {
  # "0,2-5" to [ 0 2 3 4 5 ]; "" to [ ].
  parse = text: if text == "" then [ ] else sorted (concatMap part (splitString "," text));

  # [ 0 2 3 4 5 ] to "0,2-5".
  show =
    list:
    lib.concatMapStringsSep "," (
      run:
      if head run == last run then
        toString (head run)
      else
        "${toString (head run)}-${toString (last run)}"
    ) (runs (sorted list));

  # [ 0 1 8 ] to "103": the mask that files below /sys and /proc/irq take, in groups of 32 CPUs.
  mask =
    list:
    let
      nibbles = if list == [ ] then 1 else foldl' lib.max 0 list / 4 + 1;
      digit = at: builtins.elemAt digits (nibble list at);
      group =
        at:
        lib.concatMapStrings digit (lib.reverseList (range (8 * at) (lib.min (8 * at + 7) (nibbles - 1))));
    in
    lib.concatMapStringsSep "," group (lib.reverseList (range 0 ((nibbles - 1) / 8)));

  # Those of `all` CPUs that no class took.
  housekeeping = count: taken: lib.subtractLists taken (range 0 (count - 1));

  # Whether every group of threads of one core lies wholly inside or wholly outside the class.
  closed =
    siblings: class:
    all (group: all (cpu: elem cpu class) group || !(any (cpu: elem cpu class) group)) siblings;

  # The other threads of the cores of these CPUs.
  others =
    siblings: cpus:
    filter (cpu: !(elem cpu cpus)) (
      concatMap (group: if any (cpu: elem cpu cpus) group then group else [ ]) siblings
    );

  # CPUs that two of these lists name.
  shared =
    lists:
    let
      named = concatMap unique lists;
    in
    sorted (filter (cpu: length (filter (other: other == cpu) named) > 1) named);
}
