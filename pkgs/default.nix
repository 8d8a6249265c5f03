# The overlay: hlhft and what nixpkgs lacks.
final: prev: {
  pythonPackagesExtensions = prev.pythonPackagesExtensions ++ [
    (python: _: {
      purgedcv = python.callPackage ./purgedcv { };
      hyperliquid-python-sdk = python.callPackage ./hyperliquid-python-sdk { };
    })
  ];

  hlhft = final.callPackage ./hlhft { };
}
