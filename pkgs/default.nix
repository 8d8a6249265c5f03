# The overlay: hlhft and what nixpkgs lacks.
final: prev: {
  pythonPackagesExtensions = prev.pythonPackagesExtensions ++ [
    (python: _: { purgedcv = python.callPackage ./purgedcv { }; })
  ];

  hlhft = final.callPackage ./hlhft { };
}
