# The pure functions of nixos/lib on cases whose answers are known.
{ lib, pkgs }:
let
  cpus = import ../../nixos/lib/cpus.nix { inherit lib; };
  hardening = import ../../nixos/lib/hardening.nix { inherit lib; };
  fails = value: !(builtins.tryEval (builtins.deepSeq value value)).success;
  pairs = [
    [
      0
      4
    ]
    [
      1
      5
    ]
  ];

  cases = {
    "a list is read" =
      cpus.parse "0,2-5" == [
        0
        2
        3
        4
        5
      ];
    "no list is no CPU" = cpus.parse "" == [ ];
    "repetitions are one" =
      cpus.parse "3,1-3,2" == [
        1
        2
        3
      ];
    "a range that runs back is refused" = fails (cpus.parse "5-2");
    "words are refused" = fails (cpus.parse "two");
    "spaces are refused" = fails (cpus.parse "1, 2");
    "octal is refused" = fails (cpus.parse "01");
    "a list is shown as ranges" =
      cpus.show [
        5
        4
        0
        2
        3
      ] == "0,2-5";
    "what is read is shown" = cpus.show (cpus.parse "2-15") == "2-15";
    "an empty list is shown" = cpus.show [ ] == "";
    "a mask" =
      cpus.mask [
        0
        1
        8
      ] == "103";
    "a mask of more than 32 CPUs has groups" = cpus.mask [ 33 ] == "2,00000000";
    "a full mask" = cpus.mask (lib.range 0 31) == "ffffffff";
    "a mask of none" = cpus.mask [ ] == "0";
    "the rest keeps house" =
      cpus.housekeeping 4 [
        2
        3
      ] == [
        0
        1
      ];
    "whole cores are closed" = cpus.closed pairs [
      0
      4
    ];
    "half a core is not" = !(cpus.closed pairs [ 4 ]);
    "the other thread" = cpus.others pairs [ 0 ] == [ 4 ];
    "what two lists name" =
      cpus.shared [
        [
          1
          2
        ]
        [
          2
          3
        ]
      ] == [ 2 ];
    "what one list names twice is not shared" =
      cpus.shared [
        [
          1
          1
        ]
        [ 2 ]
      ] == [ ];
    "strict is strict" =
      (hardening.of [ ]).MemoryDenyWriteExecute && (hardening.of [ ]).IPAddressDeny == "any";
    "a relaxation changes what it names" =
      !(hardening.of [ hardening.relaxations.jit ]).MemoryDenyWriteExecute;
    "and nothing else" =
      removeAttrs (hardening.of [ hardening.relaxations.jit ]) [ "MemoryDenyWriteExecute" ]
      == removeAttrs hardening.strict [ "MemoryDenyWriteExecute" ];
  };
  wrong = lib.attrNames (lib.filterAttrs (_: holds: !holds) cases);
in
pkgs.runCommand "hlhft-library" { passthru = { inherit cases; }; } (
  if wrong == [ ] then "touch $out" else throw "nixos/lib: not so: ${lib.concatStringsSep "; " wrong}"
)
